/** Compiles blocks4bit.wat into src/four-bit/blocks4bit.wasm.ts: `node wat/compile.mjs` in this folder's package. */
import { readFile, writeFile } from 'node:fs/promises'
import wabt from 'wabt'

export async function compileKernels() {
  const file = new URL('blocks4bit.wat', import.meta.url)
  const { parseWat } = await wabt()
  const module = parseWat('blocks4bit.wat', await readFile(file, 'utf8'), { simd: true })
  module.validate()
  return Buffer.from(module.toBinary({}).buffer).toString('base64')
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const lines = (await compileKernels()).match(/.{1,110}/g).map((line) => `  '${line}',`)
  const header = '// Made by wat/compile.mjs from wat/blocks4bit.wat; a test compiles it again and compares.\n'
  const out = new URL('../src/four-bit/blocks4bit.wasm.ts', import.meta.url)
  await writeFile(out, `${header}export const BLOCKS_4BIT_WASM = [\n${lines.join('\n')}\n].join('')\n`)
}
