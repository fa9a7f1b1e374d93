import type { WasmModule } from '../four-bit/kernels'
import type { BlockMath } from './math'

declare const WebAssembly: { Instance: new (module: WasmModule) => { exports: unknown } }

export type ScaleSearch = ReturnType<typeof createScaleSearch>

/**
 * Searches for the scales of parts of a block, `n` elements each, `from` on, that lose least: ggml tries neighbouring scales, and so does this, in
 * the same order. The codes go to the same places.
 */
export function createScaleSearch(module: WasmModule, { nearest, clamp }: BlockMath) {
  const f = Math.fround
  const TINY = f(1e-15)
  /** What wat/scale-search.wat exports, and where it reads and writes. */
  interface Exports {
    memory: { buffer: ArrayBuffer }
    withMinimum(bytes: number, top: number, first: number, by: number, steps: number, absolute: number): void
    symmetric(bytes: number, half: number): void
  }
  const wasm = new WebAssembly.Instance(module).exports as Exports
  const { buffer } = wasm.memory
  const elements = new Float32Array(buffer, 0, 128)
  const weights = new Float32Array(buffer, 512, 128)
  const found = new Float32Array(buffer, 1024, 128)
  const results = new Float32Array(buffer, 2048, 8)

  const load = (to: Float32Array, x: Float32Array, from: number, n: number) => {
    for (let part = 0; part < 4; part++) for (let i = 0; i < n; i++) to[4 * i + part] = x[from + part * n + i]!
  }
  const unload = (codes: Uint8Array, from: number, n: number) => {
    for (let part = 0; part < 4; part++) for (let i = 0; i < n; i++) codes[from + part * n + i] = found[4 * i + part]!
  }

  return {
    /**
     * Codes 0 .. `top` for `scale * code - minimum`, by weighted least squares of the codes that each of `steps` + 1 scales gives; `first` and `by`
     * tell how far beyond `top` those scales reach. Four parts at a time: their scales and minimums go to `scales` and `mins`.
     */
    withMinimum(
      x: Float32Array,
      given: Float32Array,
      from: number,
      n: number,
      { top, first, by, steps, absolute }: { top: number; first: number; by: number; steps: number; absolute: boolean },
      { codes, scales, mins }: { codes: Uint8Array; scales: Float32Array; mins: Float32Array },
    ): void {
      load(elements, x, from, n)
      load(weights, given, from, n)
      wasm.withMinimum(16 * n, top, first, by, steps, absolute ? 1 : 0)
      unload(codes, from, n)
      for (let part = 0; part < 4; part++) {
        scales[from / n + part] = results[part]!
        mins[from / n + part] = results[4 + part]!
      }
    },

    /** Codes 0 .. 2 `half` - 1 for `scale * (code - half)`, weighted by squares of the elements, the best of 19 scales. Four parts at a time. */
    symmetric(x: Float32Array, from: number, n: number, half: number, codes: Uint8Array, scales: Float32Array): void {
      load(elements, x, from, n)
      wasm.symmetric(16 * n, half)
      unload(codes, from, n)
      for (let part = 0; part < 4; part++) scales[from / n + part] = results[part]!
    },

    /** As {@link symmetric}, one part, from the plain scale on by changing one code at a time, in up to five rounds. */
    refined(x: Float32Array, from: number, n: number, half: number, codes: Uint8Array): number {
      let extreme = 0
      for (let i = 0; i < n; i++) if (Math.abs(x[from + i]!) > Math.abs(extreme)) extreme = x[from + i]!
      if (Math.abs(extreme) < TINY) {
        codes.fill(0, from, from + n)
        return 0
      }
      const inverse = f(-half / extreme)
      let sumXL = 0
      let sumL2 = 0
      for (let i = 0; i < n; i++) {
        const value = x[from + i]!
        const code = clamp(nearest(f(inverse * value)), -half, half - 1)
        codes[from + i] = code + half
        const weight = f(value * value)
        sumXL = f(sumXL + f(f(weight * value) * code))
        sumL2 = f(sumL2 + f(f(weight * code) * code))
      }
      for (let round = 0; round < 5; round++) {
        let changed = false
        for (let i = 0; i < n; i++) {
          const value = x[from + i]!
          const weight = f(value * value)
          const code = codes[from + i]! - half
          let withoutXL = f(sumXL - f(f(weight * value) * code))
          if (!(withoutXL > 0)) continue
          let withoutL2 = f(sumL2 - f(f(weight * code) * code))
          const other = clamp(nearest(f(f(value * withoutL2) / withoutXL)), -half, half - 1)
          if (other === code) continue
          withoutXL = f(withoutXL + f(f(weight * value) * other))
          withoutL2 = f(withoutL2 + f(f(weight * other) * other))
          if (withoutL2 > 0 && f(f(withoutXL * withoutXL) * sumL2) > f(f(sumXL * sumXL) * withoutL2)) {
            codes[from + i] = other + half
            sumXL = withoutXL
            sumL2 = withoutL2
            changed = true
          }
        }
        if (!changed) break
      }
      return sumL2 > 0 ? f(sumXL / sumL2) : 0
    },
  }
}
