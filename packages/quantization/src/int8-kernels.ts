import type { createConversions, FloatData, FloatDtype } from './floats'

/** What `quantizeInt8Rows` reads and writes; `begin` and `end` are rows. */
export interface Int8Range {
  data: FloatData
  dtype: FloatDtype
  begin: number
  end: number
  columns: number
  codes: Int8Array
  absmax: Float32Array
}

/** What `compareInt8Rows` reads, and per row the four sums it writes, as `compareRange` does. */
export interface Int8CompareRange extends Int8Range {
  /** `[rows, 4]` */
  sums: Float64Array
}

/**
 * The int8 loops over any range of rows, a row at a time in memory that stays in the cache.
 *
 * Self-contained (it refers to nothing outside itself) because worker threads get it as source text.
 */
export function createInt8Kernels(conversions: ReturnType<typeof createConversions>) {
  /** 1/127 as bitsandbytes writes it. */
  const inverse127 = Math.fround(7.874015718698502e-3)
  let row = new Float32Array(0)

  const load = ({ data, dtype, columns }: Int8Range, at: number) => {
    if (row.length < columns) row = new Float32Array(columns)
    const from = at * columns
    if (data instanceof Float32Array) row.set(data.subarray(from, from + columns))
    else if (dtype === 'bfloat16') conversions.bfloat16ToFloat32(data, from, columns, row)
    else conversions.float16ToFloat32(data, from, columns, row)
  }

  return {
    quantizeInt8Rows(range: Int8Range): void {
      const { begin, end, columns, codes, absmax, dtype } = range
      for (let r = begin; r < end; r++) {
        load(range, r)
        if (dtype !== 'float16') conversions.roundToFloat16(row, columns)
        let largest = 0
        for (let i = 0; i < columns; i++) {
          const magnitude = Math.abs(row[i]!)
          if (!(magnitude <= largest)) largest = magnitude
          if (Number.isNaN(largest)) break
        }
        absmax[r] = largest
        const at = r * columns
        if (largest === 0 || !Number.isFinite(largest)) {
          codes.fill(0, at, at + columns)
          continue
        }
        const scale = Math.fround(Math.fround(1 / largest) * 127)
        // Adding 1.5 * 2^52 leaves no room for a fraction: the addition rounds half to even.
        for (let i = 0; i < columns; i++)
          codes[at + i] = Math.fround(row[i]! * scale) + 6755399441055744 - 6755399441055744
      }
    },

    compareInt8Rows(range: Int8CompareRange): void {
      const { begin, end, columns, codes, absmax, sums } = range
      for (let r = begin; r < end; r++) {
        load(range, r)
        const scale = absmax[r]!
        let [squaredErrors, squares, errors, largest] = [0, 0, 0, 0]
        for (let i = 0; i < columns; i++) {
          const value = row[i]!
          const restored = Math.fround(Math.fround(codes[r * columns + i]! * scale) * inverse127)
          const error = Math.abs(value - restored)
          squaredErrors += error * error
          squares += value * value
          errors += error
          largest = Math.max(largest, error)
        }
        sums.set([squaredErrors, squares, errors, largest], r * 4)
      }
    },
  }
}

export type Int8Kernels = ReturnType<typeof createInt8Kernels>
