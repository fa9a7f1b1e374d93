/**
 * Adds up what the tests of all packages left in `.vitest/`: `report.json` (vitest's JSON reporter), `skips.json`
 * (reasons, from our reporter) and `extra-*.json` ({ passed, failed, skipped, skippedReasons } of tests outside vitest).
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { readJson } from './workspace.mjs'

/** Results of an earlier run must not be counted again; turbo puts back those it has in its cache. */
export function clearResults(packages) {
  for (const { path } of packages) rmSync(join(path, '.vitest'), { recursive: true, force: true })
}

function vitestResult(path, result) {
  const report = readJson(join(path, '.vitest', 'report.json'))
  const skipsFile = join(path, '.vitest', 'skips.json')
  const reasons = existsSync(skipsFile) ? readJson(skipsFile) : {}
  for (const file of report.testResults) {
    for (const test of file.assertionResults) {
      if (test.status === 'passed') result.passed++
      else if (test.status === 'failed') {
        result.failed++
        result.failures.push(test.fullName)
      } else {
        result.skipped++
        result.skips.push({ test: test.fullName.trim(), reason: reasons[test.fullName.trim()] ?? '' })
      }
    }
    // A file that fails before its first test (an import, a beforeAll) has no failed assertion to count.
    if (file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed')) {
      result.failed++
      result.failures.push(`${file.name}: ${(file.message || 'the file failed to load').split('\n')[0]}`)
    }
  }
}

/** `{ passed, failed, skipped, failures: string[], skips: { test, reason }[] }` of one package. */
export function packageResult(path) {
  const result = { passed: 0, failed: 0, skipped: 0, failures: [], skips: [], found: false }
  const folder = join(path, '.vitest')
  if (!existsSync(folder)) return result
  for (const name of readdirSync(folder).sort()) {
    if (name === 'report.json') vitestResult(path, result)
    else if (/^extra-.*\.json$/.test(name)) {
      const extra = readJson(join(folder, name))
      result.passed += extra.passed
      result.failed += extra.failed
      result.skipped += extra.skipped
      if (extra.failed > 0) result.failures.push(`${extra.failed} in ${name}`)
      for (const reason of extra.skippedReasons ?? []) result.skips.push({ test: name.slice(6, -5), reason })
    } else continue
    result.found = true
  }
  return result
}

/**
 * The results of many folders: totals, a line for each (with its failures beneath), and the skipped tests grouped by reason.
 *
 * @param entries `{ folder, path, problem }`: `problem` says what is wrong with it beside its tests, '' when nothing is;
 * it counts as one failed test unless a failed test explains it
 */
export function addUp(entries) {
  const sum = { passed: 0, failed: 0, skipped: 0, lines: [], skips: new Map() }
  for (const { folder, path, problem } of entries) {
    const result = packageResult(path)
    if (problem && result.failed === 0) {
      result.failed = 1
      result.failures.push(problem)
    } else if (!result.found) continue
    for (const key of ['passed', 'failed', 'skipped']) sum[key] += result[key]
    sum.lines.push(`${folder}: ${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`)
    for (const failure of result.failures) sum.lines.push(`  failed: ${failure}`)
    for (const { test, reason } of result.skips) {
      const key = reason || 'no reason given'
      sum.skips.set(key, [...(sum.skips.get(key) ?? []), `${folder}: ${test}`])
    }
  }
  return sum
}
