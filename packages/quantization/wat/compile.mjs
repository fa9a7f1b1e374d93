/** Compiles the .wat files of this folder into the .wasm.ts files beside the code that uses them: `node wat/compile.mjs` in this folder's package. */
import { readFile, writeFile } from 'node:fs/promises'
import wabt from 'wabt'

/** Of each file: where it goes, below src, and its name there. */
export const MODULES = {
  'blocks4bit.wat': { file: 'four-bit/blocks4bit.wasm.ts', name: 'BLOCKS_4BIT_WASM' },
  'scale-search.wat': { file: 'gguf/scale-search.wasm.ts', name: 'SCALE_SEARCH_WASM' },
}

export async function compile(wat) {
  const { parseWat } = await wabt()
  const text = await readFile(new URL(wat, import.meta.url), 'utf8')
  const module = parseWat(wat, text, { simd: true, bulk_memory: true })
  module.validate()
  return Buffer.from(module.toBinary({}).buffer).toString('base64')
}

if (process.argv[1] === new URL(import.meta.url).pathname)
  for (const [wat, { file, name }] of Object.entries(MODULES)) {
    const lines = (await compile(wat)).match(/.{1,110}/g).map((line) => `  '${line}',`)
    const header = `// Made by wat/compile.mjs from wat/${wat}; a test compiles it again and compares.\n`
    const out = new URL(`../src/${file}`, import.meta.url)
    await writeFile(out, `${header}export const ${name} = [\n${lines.join('\n')}\n].join('')\n`)
  }
