import { openCheckpoint, type SafetensorsFile } from '@tunesmith/hub'
import { expect } from 'vitest'

/** An int64 tensor of a golden file. */
export async function ints(file: SafetensorsFile, name: string): Promise<number[]> {
  const bytes = await file.read(name)
  return Array.from(new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8), Number)
}

/** A float32 tensor of a golden file. */
export async function floats(file: SafetensorsFile, name: string): Promise<Float32Array> {
  const bytes = await file.read(name)
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length)
  let largest = 0
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!))
  return largest
}

/** Every tensor of a checkpoint, as text. */
export async function tensorTexts(path: string): Promise<Map<string, string>> {
  const checkpoint = await openCheckpoint(path)
  const all = new Map<string, string>()
  for (const [name, { dtype, shape }] of checkpoint.tensors)
    all.set(name, `${dtype} [${shape}] ${Buffer.from(await checkpoint.read(name)).toString('base64')}`)
  await checkpoint.close()
  return all
}
