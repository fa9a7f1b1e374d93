#!/usr/bin/env node
/**
 * `npm test`: everything that must hold before a change goes in, from a fresh clone on. Options go to turbo: `npm test
 * -- --force` ignores its cache, `npm test -- --filter=@tunesmith/hub` tests one package.
 * The last line is `N passed, N failed, N skipped`; a failed check counts as one failed test.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { bootstrap, build, toolsFolder, turbo } from '../lib/bootstrap.mjs'
import { addUp, clearResults, packageResult } from '../lib/results.mjs'
import { command, openStep, runMain, StepError, tail } from '../lib/step.mjs'
import { readJson, root, workspacePackages } from '../lib/workspace.mjs'

/** Tests read goldens beside the repository, which turbo does not see: their state goes into its keys through a variable. */
function sharedState() {
  const folder = process.env.TUNESMITH_SHARED ?? resolve(root, '..', 'shared')
  if (!existsSync(folder)) return 'absent'
  const hash = createHash('sha256')
  for (const entry of readdirSync(folder, { recursive: true }).sort()) {
    const stat = statSync(join(folder, entry), { throwIfNoEntry: false })
    if (stat?.isFile()) hash.update(`${entry} ${stat.size} ${stat.mtimeMs}\n`)
  }
  return hash.digest('hex')
}

/** Run a check in this process' terminal; its name goes to `failures` when it fails. */
async function check(label, failures, work) {
  const code = await openStep(label, work)
  if (code !== 0) failures.push(label)
  return code === 0
}

const node = (script, env, args = []) =>
  command(process.execPath, [join(root, 'packages/tooling/bin', script), ...args], { cwd: root, env }).then(
    ({ code }) => code,
  )

const turboRuns = join(root, '.turbo', 'runs')

/** The tasks that failed, from the summary that turbo writes. */
function failedTasks() {
  if (!existsSync(turboRuns)) return []
  return readdirSync(turboRuns)
    .flatMap((name) => readJson(join(turboRuns, name)).tasks)
    .filter((task) => task.execution && task.execution.exitCode !== 0)
    .map((task) => ({ name: task.taskId, task: task.task, folder: task.directory }))
}

runMain(async () => {
  const options = process.argv.slice(2)
  const env = await bootstrap()
  env.TUNESMITH_TEST_STATE = sharedState()
  const packages = workspacePackages()
  const failures = []

  await check('formatting and lint (biome)', failures, () =>
    command(join(root, 'node_modules/.bin/biome'), ['check', '.'], { cwd: root, env }).then(({ code }) => code),
  )
  await check('formatting of C++ (clang-format)', failures, () => node('format-cpp.mjs', env, ['--check']))
  await check('levels', failures, () => node('check-levels.mjs', env))
  try {
    await build(env)
  } catch (error) {
    if (!(error instanceof StepError)) throw error
    process.stderr.write(`${tail(error.output, 80)}\n`)
    failures.push('build')
  }

  clearResults(packages)
  rmSync(turboRuns, { recursive: true, force: true })
  const runs = await openStep('typecheck, package checks and tests', () =>
    turbo(['typecheck', 'lint', 'test'], {
      env,
      args: ['--continue=always', '--output-logs=new-only', '--log-order=grouped', '--summarize', ...options],
    }).then(({ code }) => code),
  )
  const failed = runs === 0 ? [] : failedTasks()
  for (const task of failed) if (task.task !== 'test') failures.push(task.name)

  const installs = { folder: 'packages installed alone', path: join(toolsFolder, 'install-check'), problem: '' }
  clearResults([installs])
  if (options.length === 0) {
    const code = await openStep('installing each package alone', () => node('install-check.mjs', env, [installs.path]))
    if (code !== 0) installs.problem = 'the check itself failed: see its output'
  } else process.stderr.write('tunesmith: options given, so installing each package alone is left out\n')

  const entries = packages.map(({ folder, path, manifest }) => {
    const task = failed.find((each) => each.task === 'test' && resolve(root, each.folder) === path)
    const silent = options.length === 0 && manifest.scripts?.test && !packageResult(path).found
    return {
      folder,
      path,
      problem: task ? `${task.name} failed: see its output` : silent ? 'its tests left no report' : '',
    }
  })
  const sum = addUp([...entries, installs])
  if (runs !== 0 && failed.length === 0 && sum.failed === 0) failures.push('turbo')

  console.log(`\nTests by package\n  ${sum.lines.join('\n  ')}`)
  if (sum.skips.size > 0) console.log('\nSkipped, by reason')
  for (const [reason, tests] of sum.skips) console.log(`  ${reason}\n    ${tests.join('\n    ')}`)
  if (failures.length > 0) console.log(`\nFailed checks\n  ${failures.join('\n  ')}`)
  const failedCount = sum.failed + failures.length
  console.log(`\n${sum.passed} passed, ${failedCount} failed, ${sum.skipped} skipped`)
  return failedCount === 0 ? 0 : 1
})
