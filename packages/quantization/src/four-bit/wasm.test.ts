import { expect, test } from 'vitest'
// @ts-expect-error a script without types
import { compileKernels } from '../../wat/compile.mjs'
import { BLOCKS_4BIT_WASM } from './blocks4bit.wasm'

test('blocks4bit.wasm.ts is what blocks4bit.wat compiles to', async () => {
  expect(BLOCKS_4BIT_WASM).toBe(await compileKernels())
})
