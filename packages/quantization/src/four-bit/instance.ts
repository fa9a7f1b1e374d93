import { BLOCKS_4BIT_WASM } from './blocks4bit.wasm'
import type { WasmModule } from './kernels'

declare const WebAssembly: { Module: new (bytes: Uint8Array) => WasmModule }

let module: WasmModule | undefined

/** The compiled loops; every thread makes its own instance of the module. */
export function blocks4bitModule(): WasmModule {
  module ??= new WebAssembly.Module(Buffer.from(BLOCKS_4BIT_WASM, 'base64'))
  return module
}
