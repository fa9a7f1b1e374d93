import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { addUp, clearResults, packageResult } from './results.mjs'

function packageWith(files) {
  const path = mkdtempSync(join(tmpdir(), 'results-'))
  mkdirSync(join(path, '.vitest'))
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(path, '.vitest', name), JSON.stringify(content))
  return path
}

const test = (fullName, status) => ({ fullName, status })

it('counts passed, failed and skipped tests and gives the reasons for the skipped', () => {
  const path = packageWith({
    'report.json': {
      testResults: [
        { name: 'a.test.ts', status: 'failed', assertionResults: [test('a one', 'passed'), test('a two', 'failed')] },
        { name: 'b.test.ts', status: 'passed', assertionResults: [test('b one', 'skipped'), test('b two', 'todo')] },
      ],
    },
    'skips.json': { 'b one': 'no goldens' },
  })
  expect(packageResult(path)).toEqual({
    passed: 1,
    failed: 1,
    skipped: 2,
    failures: ['a two'],
    skips: [
      { test: 'b one', reason: 'no goldens' },
      { test: 'b two', reason: '' },
    ],
    found: true,
  })
})

it('counts a file that fails before its first test', () => {
  const report = {
    testResults: [{ name: 'a.test.ts', status: 'failed', message: 'Cannot find x\nstack', assertionResults: [] }],
  }
  const result = packageResult(packageWith({ 'report.json': report }))
  expect(result).toMatchObject({ passed: 0, failed: 1, failures: ['a.test.ts: Cannot find x'] })
})

it('adds results from outside vitest', () => {
  const path = packageWith({
    'report.json': { testResults: [] },
    'extra-native.json': { passed: 7, failed: 1, skipped: 2, skippedReasons: ['no CUDA'] },
  })
  expect(packageResult(path)).toMatchObject({
    passed: 7,
    failed: 1,
    skipped: 2,
    failures: ['1 in extra-native.json'],
    skips: [{ test: 'native', reason: 'no CUDA' }],
  })
})

it('finds nothing after clearing', () => {
  const path = packageWith({ 'report.json': { testResults: [] } })
  expect(packageResult(path).found).toBe(true)
  clearResults([{ path }])
  expect(packageResult(path).found).toBe(false)
})

it('adds folders up, names failures and groups skipped tests by reason', () => {
  const one = packageWith({
    'report.json': {
      testResults: [{ name: 'a', status: 'failed', assertionResults: [test('a', 'failed'), test('b', 'passed')] }],
    },
  })
  const two = packageWith({ 'extra-x.json': { passed: 2, failed: 0, skipped: 1, skippedReasons: ['no GPU'] } })
  const crashed = packageWith({})
  const entries = [
    { folder: 'one', path: one, problem: 'one#test failed' },
    { folder: 'two', path: two, problem: '' },
    { folder: 'three', path: crashed, problem: 'three#test failed' },
    { folder: 'no tests', path: crashed, problem: '' },
  ]
  expect(addUp(entries)).toEqual({
    passed: 3,
    failed: 2,
    skipped: 1,
    lines: [
      'one: 1 passed, 1 failed, 0 skipped',
      '  failed: a',
      'two: 2 passed, 0 failed, 1 skipped',
      'three: 0 passed, 1 failed, 0 skipped',
      '  failed: three#test failed',
    ],
    skips: new Map([['no GPU', ['two: x']]]),
  })
})
