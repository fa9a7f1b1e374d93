import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { incompatible } from '@tunesmith/core'
import { openCheckpoint, openSafetensors, type TensorReader } from '@tunesmith/hub'
import { ADAPTER_FILE, TRAINABLE_FILE } from './save'

/** Puts a checkpoint's weights into the trainable variables, bit for bit. */
export async function loadParameters(folder: string, parameters: ReadonlyMap<string, tf.Variable>): Promise<void> {
  const readers: TensorReader[] = []
  try {
    if (existsSync(join(folder, TRAINABLE_FILE))) readers.push(await openSafetensors(join(folder, TRAINABLE_FILE)))
    const adapter = join(folder, ADAPTER_FILE)
    readers.push(existsSync(adapter) ? await openSafetensors(adapter) : await openCheckpoint(folder))
    const fits = (reader: TensorReader, name: string, { shape }: tf.Variable) =>
      reader.tensors.get(name)?.dtype === 'F32' && reader.tensors.get(name)!.shape.join() === shape.join()
    const missing = [...parameters].filter(
      ([name, variable]) => !readers.some((reader) => fits(reader, name, variable)),
    )
    if (missing.length > 0)
      throw incompatible(
        `The checkpoint does not have what is trained now: ${missing.map(([name]) => name).join(', ')}`,
        { where: folder, remedy: 'Resume with the model and the adapter configuration of the saved run' },
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
