import { createConversions } from '../floats'
import { BLOCKS_4BIT_WASM } from './blocks4bit.wasm'
import { createKernels, type Kernels, type WasmModule } from './kernels'

declare const WebAssembly: { Module: new (bytes: Uint8Array) => WasmModule }

let module: WasmModule | undefined
let kernels: Kernels | undefined

/** The compiled loops; worker threads receive this module and make their own instance. */
export function blocks4bitModule(): WasmModule {
  module ??= new WebAssembly.Module(Buffer.from(BLOCKS_4BIT_WASM, 'base64'))
  return module
}

/** This thread's instance. */
export function localKernels(): Kernels {
  kernels ??= createKernels(blocks4bitModule(), createConversions())
  return kernels
}
