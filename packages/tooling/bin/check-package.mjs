#!/usr/bin/env node
/**
 * The `lint` script of every published package: packs it as npm would get it, then lets publint look at the package.json
 * and are-the-types-wrong at what TypeScript finds for each entry point (ES modules only, which is all we publish).
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { pack } from '../lib/pack.mjs'
import { runMain } from '../lib/step.mjs'
import { readJson } from '../lib/workspace.mjs'

/** How Node's CommonJS resolution and the pre-`exports` one see the package is not ours to answer for. */
const answeredFor = new Set(['node16-esm', 'bundler'])

async function typesProblems(tarball) {
  const result = await checkPackage(createPackageFromTarballData(new Uint8Array(tarball)))
  if (!result.types) return ['the package has no types']
  return result.problems
    .filter((problem) => !problem.resolutionKind || answeredFor.has(problem.resolutionKind))
    .filter((problem) => problem.kind !== 'CJSResolvesToESM')
    .map((problem) =>
      `types: ${problem.kind} ${problem.entrypoint ?? problem.fileName ?? ''} ${problem.resolutionKind ?? ''}`.trim(),
    )
}

runMain(async () => {
  const folder = process.cwd()
  const manifest = readJson(join(folder, 'package.json'))
  const scratch = mkdtempSync(join(tmpdir(), 'tunesmith-pack-'))
  try {
    const tarball = readFileSync(await pack(folder, scratch))
    const data = tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength)
    const { messages, pkg = manifest } = await publint({ strict: true, pack: { tarball: data } })
    const problems = [...messages.map((message) => formatMessage(message, pkg)), ...(await typesProblems(data))]
    for (const problem of problems) console.error(`${manifest.name}: ${problem}`)
    if (problems.length === 0)
      console.log(`${manifest.name}: package.json, entry points and types are as npm wants them`)
    return problems.length === 0 ? 0 : 1
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
})
