import type { createConversions } from '../floats'
import type { WasmModule } from '../four-bit/kernels'
import { createIq4Blocks } from './iq4-blocks'
import { createKBlocks } from './k-blocks'
import { type BlockCode, createBlockMath } from './math'
import { createScaleSearch } from './scale-search'
import { SCALE_SEARCH_WASM } from './scale-search.wasm'
import { createSmallBlocks } from './small-blocks'
import { GGUF_BLOCKS, type GgufType } from './types'

declare const WebAssembly: { Module: new (bytes: Uint8Array) => WasmModule }

let compiled: WasmModule | undefined

/** The compiled searches; every thread makes its own instance of the module. */
export function scaleSearchModule(): WasmModule {
  compiled ??= new WebAssembly.Module(Buffer.from(SCALE_SEARCH_WASM, 'base64'))
  return compiled
}

/** A range of blocks: `begin` and `end` are blocks, of `size` elements and `bytes` bytes. */
export interface GgufRange {
  type: GgufType
  values: Float32Array
  blocks: Uint8Array
  begin: number
  end: number
  size: number
  bytes: number
}

export type GgufKernels = ReturnType<typeof createGgufKernels>

/** Writes and reads ranges of blocks. Self-contained with the factories that it is given, as text for worker threads. */
export function createGgufKernels(codes: Record<GgufType, BlockCode>) {
  return {
    encodeGguf({ type, values, blocks, begin, end, size, bytes }: GgufRange): void {
      const { encode } = codes[type]
      for (let block = begin; block < end; block++) encode(values, block * size, blocks, block * bytes)
    },
    decodeGguf({ type, values, blocks, begin, end, size, bytes }: GgufRange): void {
      const { decode } = codes[type]
      for (let block = begin; block < end; block++) decode(blocks, block * bytes, values, block * size)
    },
  }
}

/** The kernels in this thread. */
export function ggufKernelsHere(conversions: ReturnType<typeof createConversions>): GgufKernels {
  const math = createBlockMath(conversions)
  const search = createScaleSearch(scaleSearchModule(), math)
  return createGgufKernels({ ...createSmallBlocks(math), ...createKBlocks(math, search), ...createIq4Blocks(math) })
}

/** The same as source text, an expression that needs `conversions` and `scaleSearch`, the compiled module. */
export const ggufKernelsText = (): string => `(() => {
  const math = (${createBlockMath.toString()})(conversions)
  const search = (${createScaleSearch.toString()})(scaleSearch, math)
  return (${createGgufKernels.toString()})({
    ...(${createSmallBlocks.toString()})(math),
    ...(${createKBlocks.toString()})(math, search),
    ...(${createIq4Blocks.toString()})(math),
  })
})()`

/** The whole of `count` elements as a range. */
export const ggufRange = (type: GgufType, values: Float32Array, blocks: Uint8Array): GgufRange => {
  const { size, bytes } = GGUF_BLOCKS[type]
  return { ...{ type, values, blocks, size, bytes }, begin: 0, end: values.length / size }
}
