import { access } from 'node:fs/promises'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { TunesmithError } from '@tunesmith/core'
import { openCheckpoint, openSafetensors, readJsonFile, type TensorReader } from '@tunesmith/hub'
import type { Optimizer } from '../optimizers'
import { ADAPTER_FILE, OPTIMIZER_FILE, STATE_FILE, TRAINABLE_FILE } from './save'
import type { SavedRun } from './saved-run'

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )

/** Puts a checkpoint's weights into the trainable variables, bit for bit. */
export async function loadParameters(folder: string, parameters: ReadonlyMap<string, tf.Variable>): Promise<void> {
  const readers: TensorReader[] = []
  try {
    if (await exists(join(folder, TRAINABLE_FILE))) readers.push(await openSafetensors(join(folder, TRAINABLE_FILE)))
    const adapter = join(folder, ADAPTER_FILE)
    readers.push((await exists(adapter)) ? await openSafetensors(adapter) : await openCheckpoint(folder))
    const fits = (reader: TensorReader, name: string, { shape }: tf.Variable) =>
      reader.tensors.get(name)?.dtype === 'F32' && reader.tensors.get(name)!.shape.join() === shape.join()
    const missing = [...parameters].filter(
      ([name, variable]) => !readers.some((reader) => fits(reader, name, variable)),
    )
    if (missing.length > 0)
      throw new TunesmithError(
        `The checkpoint does not have what is trained now: ${missing.map(([name]) => name).join(', ')}`,
        {
          code: 'incompatible',
          where: folder,
          remedy: 'Resume with the model and the adapter configuration of the saved run',
        },
      )
    for (const [name, variable] of parameters) {
      const bytes = await readers.find((reader) => fits(reader, name, variable))!.read(name)
      const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
      tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)))
    }
  } finally {
    for (const reader of readers) await reader.close()
  }
}

export async function loadOptimizer(
  folder: string,
  optimizer: Optimizer,
  scalars: Record<string, number>,
): Promise<void> {
  const file = await openSafetensors(join(folder, OPTIMIZER_FILE))
  try {
    await optimizer.load(scalars, file)
  } finally {
    await file.close()
  }
}

export async function readSavedRun(folder: string): Promise<SavedRun> {
  const path = join(folder, STATE_FILE)
  const { tunesmith } = await readJsonFile<{ tunesmith?: SavedRun }>(path)
  if (tunesmith) return tunesmith
  throw new TunesmithError('The checkpoint was not saved by this trainer', {
    code: 'incompatible',
    where: path,
    remedy: 'Load its weights as a model or adapter instead, and start a new run with them',
  })
}
