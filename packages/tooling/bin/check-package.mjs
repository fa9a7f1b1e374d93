#!/usr/bin/env node
/**
 * The `lint` script of every published package: packs it as npm would get it, then lets publint look at the package.json
 * and are-the-types-wrong at what TypeScript finds for each entry point (ES modules only, which is all we publish), and
 * type-checks the declarations themselves, as the compiler of a user without `skipLibCheck` does.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import ts from 'typescript'
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

/** What the compiler says of the package's own declarations; those of its dependencies are not its business. */
function declarationProblems(folder, manifest) {
  const entries = Object.values(manifest.exports).flatMap(({ types }) =>
    types?.endsWith('.d.ts') ? [join(folder, types)] : [],
  )
  const options = {
    strict: true,
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    types: ['node'],
  }
  const program = ts.createProgram(entries, options)
  return program
    .getSourceFiles()
    .filter(({ fileName }) => fileName.startsWith(join(folder, 'dist/')))
    .flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
    .map(({ file, start, messageText }) => {
      const line = file.getLineAndCharacterOfPosition(start).line + 1
      return `types: ${file.fileName.slice(folder.length + 1)}:${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
    })
}

runMain(async () => {
  const folder = process.cwd()
  const manifest = readJson(join(folder, 'package.json'))
  const scratch = mkdtempSync(join(tmpdir(), 'tunesmith-pack-'))
  try {
    const tarball = readFileSync(await pack(folder, scratch))
    const data = tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength)
    const { messages, pkg = manifest } = await publint({ strict: true, pack: { tarball: data } })
    const problems = [
      ...messages.map((message) => formatMessage(message, pkg)),
      ...(await typesProblems(data)),
      ...declarationProblems(folder, manifest),
    ]
    for (const problem of problems) console.error(`${manifest.name}: ${problem}`)
    if (problems.length === 0)
      console.log(`${manifest.name}: package.json, entry points and types are as npm wants them`)
    return problems.length === 0 ? 0 : 1
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
})
