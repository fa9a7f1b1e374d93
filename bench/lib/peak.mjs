import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { command, tail } from '../../packages/tooling/lib/step.mjs'
import { root } from '../../packages/tooling/lib/workspace.mjs'

const source = fileURLToPath(new URL('peak.cc', import.meta.url))

/** Builds peak.cc with `CXX`, else `c++`; returns the program, or undefined after saying why there is none. */
async function buildPeak() {
  const folder = join(root, '.tools', 'bench')
  mkdirSync(folder, { recursive: true })
  const program = join(folder, 'peak')
  const compiler = process.env.CXX || 'c++'
  const options = ['-O2', '-march=native', '-std=c++17', '-pthread']
  const { code, output } = await command(compiler, [...options, source, '-o', program], { quiet: true })
  if (code === 0 && existsSync(program)) return program
  process.stderr.write(
    `tunesmith: no peak of the processor: ${compiler} could not build peak.cc (${tail(output, 1)})\n`,
  )
  return undefined
}

/**
 * The most that the processor can multiply and add, as peak.cc finds it.
 *
 * @returns `(kind, threads) => Promise<GFLOP/s>` for the kinds `f32` and `bf16`, a tenth of a second each; undefined where there is no
 *   compiler or the processor has no such instruction, which is said once
 */
export async function startPeak() {
  const program = await buildPeak()
  const absent = new Set()
  return async (kind, threads) => {
    if (!program || absent.has(kind)) return undefined
    const { code, output } = await command(program, [kind, String(threads), '0.1'], { quiet: true })
    if (code === 0) return Number(output)
    absent.add(kind)
    process.stderr.write(`tunesmith: no peak of ${kind}: peak.cc has no instruction for it on this processor\n`)
    return undefined
  }
}
