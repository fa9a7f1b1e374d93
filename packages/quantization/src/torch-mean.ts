/**
 * The mean of a float32 array, added up in the order torch's CPU kernel uses, so that the last bit is the same.
 *
 * Eight lanes, four vectors at a time, and up to four levels of partial sums (ATen's cascade sum on AVX2, one thread;
 * from 32768 elements on torch with several threads splits the work and may differ in the last bit).
 */
export function torchMean(values: Float32Array): number {
  return Math.fround(torchSum(values) / Math.fround(values.length))
}

const LANES = 8
const ROW = 4 * LANES
const LEVELS = 4

function torchSum(values: Float32Array): number {
  if (values.length < LANES) return shortSum(values)
  const vectors = Math.floor(values.length / LANES)
  const rows = Math.floor(vectors / 4)
  const partial = sumRows(values, rows)
  for (let v = rows * 4; v < vectors; v++)
    for (let k = 0; k < LANES; k++) partial[k] = partial[k]! + values[v * LANES + k]!
  for (let v = 1; v < 4; v++) for (let k = 0; k < LANES; k++) partial[k] = partial[k]! + partial[v * LANES + k]!

  let sum = 0
  for (let i = vectors * LANES; i < values.length; i++) sum = Math.fround(sum + values[i]!)
  for (let k = 0; k < LANES; k++) sum = Math.fround(sum + partial[k]!)
  return sum
}

/** Fewer than eight numbers: four lanes of one, the rest on top of the first. */
function shortSum(values: Float32Array): number {
  const lanes = values.length < 4 ? [] : [...values.subarray(0, 4)]
  let sum = lanes[0] ?? 0
  for (let i = lanes.length; i < values.length; i++) sum = Math.fround(sum + values[i]!)
  for (const lane of lanes.slice(1)) sum = Math.fround(sum + lane)
  return sum
}

/** Column sums of a `[rows, 32]` array: each level collects `2^power` sums of the one before. */
function sumRows(values: Float32Array, rows: number): Float32Array {
  const ceilLog2 = rows > 1 ? 32 - Math.clz32(rows - 1) : 0
  const power = Math.max(4, Math.floor(ceilLog2 / LEVELS))
  const step = 2 ** power
  const levels = Array.from({ length: LEVELS }, () => new Float32Array(ROW))
  const add = (into: Float32Array, from: Float32Array, at: number) => {
    for (let k = 0; k < ROW; k++) into[k] = into[k]! + from[at + k]!
  }
  let row = 0
  while (row + step <= rows) {
    for (const end = row + step; row < end; row++) add(levels[0]!, values, row * ROW)
    for (let level = 1; level < LEVELS; level++) {
      add(levels[level]!, levels[level - 1]!, 0)
      levels[level - 1]!.fill(0)
      if ((row & ((step - 1) * step ** level)) !== 0) break
    }
  }
  for (; row < rows; row++) add(levels[0]!, values, row * ROW)
  for (let level = 1; level < LEVELS; level++) add(levels[0]!, levels[level]!, 0)
  return levels[0]!
}
