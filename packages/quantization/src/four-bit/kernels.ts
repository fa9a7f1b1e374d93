import type { createConversions, FloatData, FloatDtype } from '../floats'

/** A compiled WebAssembly module; the type is opaque because TypeScript declares the real one only for browsers. */
export interface WasmModule {
  readonly wasmModule?: never
}

declare const WebAssembly: { Instance: new (module: WasmModule) => { exports: unknown } }

/** What `quantizeRange` reads and writes; `begin` and `end` are flat element indices, `begin` at a block's start. */
export interface QuantizeRange {
  data: FloatData
  dtype: FloatDtype
  begin: number
  end: number
  blocksize: number
  thresholds: Float32Array
  order: Uint8Array
  packed: Uint8Array
  absmax: Float32Array
}

/** What `dequantizeRange` reads and writes. */
export interface DequantizeRange {
  packed: Uint8Array
  absmax: Float32Array
  begin: number
  end: number
  blocksize: number
  map: Float32Array
  out: FloatData
  dtype: FloatDtype
}

/** What `compareRange` reads, and per 65536 elements the four sums it writes: see {@link addErrorSums}. */
export interface CompareRange extends Omit<DequantizeRange, 'out'> {
  data: FloatData
  /** `[ceil(n / 65536), 4]` */
  sums: Float64Array
}

/**
 * The 4-bit loops over any range of whole blocks, in chunks that fit the second-level cache.
 *
 * Self-contained (it refers to nothing outside itself) because worker threads get it as source text. Each instance
 * has its own WebAssembly memory; data is copied through it.
 */
export function createKernels(module: WasmModule, conversions: ReturnType<typeof createConversions>) {
  interface Exports {
    memory: { buffer: ArrayBuffer }
    quantize: (...pointersAndSizes: number[]) => void
    dequantize: (...pointersAndSizes: number[]) => void
    widenBfloat16: (source: number, count: number, target: number) => void
  }
  const wasm = new WebAssembly.Instance(module).exports as Exports
  const chunk = 65536
  const thresholdsAt = 0
  const orderAt = 64
  const planesAt = 128
  const floatsAt = 1024
  const wordsAt = floatsAt + 4 * chunk
  const packedAt = wordsAt + 2 * chunk
  const absmaxAt = packedAt + chunk / 2
  const restoredAt = absmaxAt + chunk / 4
  const memory = wasm.memory.buffer
  const restored = new Float32Array(memory, restoredAt, chunk)
  const floats = new Float32Array(memory, floatsAt, chunk)
  const words = new Uint16Array(memory, wordsAt, chunk)
  const packedBytes = new Uint8Array(memory, packedAt, chunk / 2)
  const scales = new Float32Array(memory, absmaxAt, chunk / 16)

  /** Fills `floats[0, count)` from the data, and zeros up to the next multiple of 32. */
  const load = (data: FloatData, dtype: FloatDtype, begin: number, count: number) => {
    if (data instanceof Float32Array) floats.set(data.subarray(begin, begin + count))
    else if (dtype === 'bfloat16') {
      words.set(data.subarray(begin, begin + count))
      wasm.widenBfloat16(wordsAt, (count + 7) & ~7, floatsAt)
    } else conversions.float16ToFloat32(data, begin, count, floats)
    floats.fill(0, count, (count + 31) & ~31)
  }

  const setMap = (map: Float32Array) => {
    const bytes = new Uint8Array(map.buffer, map.byteOffset, 64)
    const planes = new Uint8Array(memory, planesAt, 64)
    for (let i = 0; i < 64; i++) planes[(i & 3) * 16 + (i >> 2)] = bytes[i]!
  }

  /** Dequantizes `count` elements from `at` on into `restored`. */
  const restore = ({ packed, absmax, blocksize }: Omit<DequantizeRange, 'out'>, at: number, count: number) => {
    packedBytes.set(packed.subarray(at >> 1, (at + count + 1) >> 1))
    scales.set(absmax.subarray(at / blocksize, Math.ceil((at + count) / blocksize)))
    wasm.dequantize(packedAt, (count + 15) & ~15, blocksize, planesAt, absmaxAt, restoredAt)
  }

  return {
    /** Codes and absmax of the blocks in `[begin, end)`; a block cut short by `end` is treated as the tensor's last. */
    quantizeRange({ data, dtype, begin, end, blocksize, thresholds, order, packed, absmax }: QuantizeRange): void {
      new Float32Array(memory, thresholdsAt, 15).set(thresholds)
      new Uint8Array(memory, orderAt, 16).set(order)
      const tail = (end - begin) % blocksize
      const part = (at: number, count: number, divide: 0 | 1) => {
        load(data, dtype, at, count)
        const padded = divide ? (count + 31) & ~31 : count
        wasm.quantize(floatsAt, padded, blocksize, thresholdsAt, orderAt, packedAt, absmaxAt, divide)
        const bytes = (count + 1) >> 1
        // bitsandbytes pads an odd count with a zero after scaling: that nibble is zero's code even beside a NaN.
        if (count & 1) packedBytes[bytes - 1] = (packedBytes[bytes - 1]! & 0xf0) | zeroCode
        packed.set(packedBytes.subarray(0, bytes), at >> 1)
        absmax.set(scales.subarray(0, Math.ceil(count / blocksize)), at / blocksize)
      }
      const zeroCode = order[thresholds.filter((threshold) => threshold < 0).length]!
      for (let at = begin; at < end - tail; at += chunk) part(at, Math.min(chunk, end - tail - at), 0)
      if (tail) part(end - tail, tail, 1)
    },

    /** `map[code] * absmax[block]` in float32, rounded to `dtype`. */
    dequantizeRange(range: DequantizeRange): void {
      const { begin, end, out, dtype } = range
      setMap(range.map)
      for (let at = begin; at < end; at += chunk) {
        const count = Math.min(chunk, end - at)
        restore(range, at, count)
        if (out instanceof Float32Array) out.set(restored.subarray(0, count), at)
        else if (dtype === 'bfloat16') conversions.float32ToBfloat16(restored, count, out, at)
        else conversions.float32ToFloat16(restored, count, out, at)
      }
    },

    /** What quantization lost, per chunk: sums of squared errors, squares and absolute errors, and the largest error. */
    compareRange(range: CompareRange): void {
      const { begin, end, data, dtype, sums } = range
      setMap(range.map)
      for (let at = begin; at < end; at += chunk) {
        const count = Math.min(chunk, end - at)
        load(data, dtype, at, count)
        restore(range, at, count)
        let [squaredErrors, squares, errors, largest] = [0, 0, 0, 0]
        for (let i = 0; i < count; i++) {
          const value = floats[i]!
          const error = Math.abs(value - restored[i]!)
          squaredErrors += error * error
          squares += value * value
          errors += error
          largest = Math.max(largest, error)
        }
        sums.set([squaredErrors, squares, errors, largest], (at / chunk) * 4)
      }
    },
  }
}

export type Kernels = ReturnType<typeof createKernels>
