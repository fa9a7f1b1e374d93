import { join } from 'node:path'
import { collate, type PackedBatch } from '@tunesmith/datasets'
import { openSafetensors, type SafetensorsFile } from '@tunesmith/hub'
import { sharedPath } from '@tunesmith/tooling/shared'

/** PEFT's trajectories of sixty steps; undefined where they are not. */
export const goldens = sharedPath('goldens/lora')

/** What PEFT measured in each step. */
export interface Trajectory {
  loss: number[]
  grad_norm: number[]
  lr: number[]
  target_tokens: number[]
}

export async function tensor(
  file: SafetensorsFile,
  name: string,
): Promise<{ shape: readonly number[]; values: number[] | Float32Array }> {
  const { dtype, shape } = file.tensors.get(name)!
  const bytes = await file.read(name)
  if (dtype === 'I64')
    return { shape, values: Array.from(new BigInt64Array(bytes.buffer, 0, bytes.byteLength / 8), Number) }
  return { shape, values: new Float32Array(bytes.buffer, 0, bytes.byteLength / 4) }
}

/** A right-padded rectangle of the goldens, without its padding. */
async function goldenBatch(file: SafetensorsFile, index: number): Promise<PackedBatch> {
  const part = (name: string) => tensor(file, `mb${index}.${name}`)
  const [ids, mask, labels] = await Promise.all([part('input_ids'), part('attention_mask'), part('labels')])
  const [rows, width] = ids.shape as [number, number]
  return collate(
    Array.from({ length: rows }, (_, row) => {
      const length = mask.values.slice(row * width, (row + 1) * width).filter((one) => one === 1).length
      const cut = (values: ArrayLike<number>) => Array.from(values).slice(row * width, row * width + length)
      return { inputIds: cut(ids.values), labels: cut(labels.values) }
    }),
  )
}

/** The twelve micro-batches of all trajectories; step s has those at 2s and 2s + 1, and so on from the start. */
export async function goldenBatches(): Promise<PackedBatch[]> {
  const file = await openSafetensors(join(goldens!, 'batches.safetensors'))
  const all = await Promise.all(Array.from({ length: 12 }, (_, i) => goldenBatch(file, i)))
  await file.close()
  return all
}
