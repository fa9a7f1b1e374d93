import { expect, test } from 'vitest'
// @ts-expect-error a script without types
import { compile, MODULES } from '../wat/compile.mjs'
import { BLOCKS_4BIT_WASM } from './four-bit/blocks4bit.wasm'
import { SCALE_SEARCH_WASM } from './gguf/scale-search.wasm'

test('each .wasm.ts is what its .wat compiles to', async () => {
  expect(Object.keys(MODULES)).toHaveLength(2)
  expect(BLOCKS_4BIT_WASM).toBe(await compile('blocks4bit.wat'))
  expect(SCALE_SEARCH_WASM).toBe(await compile('scale-search.wat'))
})
