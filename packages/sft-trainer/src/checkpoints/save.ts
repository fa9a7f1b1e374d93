import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type * as tf from '@tensorflow/tfjs-core'
import { writeFileAtomic, writeFolderAtomic } from '@tunesmith/core'
import { openSafetensors, type TensorToWrite, writeSafetensors } from '@tunesmith/hub'
import type { PeftModel } from '@tunesmith/peft-lora'
import type { TrainRun } from '../loop/train-run'
import { writeManifest } from './manifest'
import { saveTrained } from './save-trained'
import { savedRun, toTrainerStateJson } from './saved-run'

export const ADAPTER_FILE = 'adapter_model.safetensors'
export const TRAINABLE_FILE = 'trainable.safetensors'
export const OPTIMIZER_FILE = 'optimizer.safetensors'
export const STATE_FILE = 'trainer_state.json'

function variableBytes(variable: tf.Variable): Uint8Array {
  const values = variable.dataSync() as Float32Array
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

/**
 * What is trained but not in the adapter's file with the same values, for an adapter may save something derived from its
 * parameters; and what else it must remember.
 */
async function notInAdapter(
  folder: string,
  peft: PeftModel,
  parameters: ReadonlyMap<string, tf.Variable>,
): Promise<TensorToWrite[]> {
  const path = join(folder, ADAPTER_FILE)
  const file = existsSync(path) ? await openSafetensors(path) : undefined
  const rest = new Map<string, tf.Variable>(peft.trainingState())
  for (const [name, variable] of parameters) {
    const info = file?.tensors.get(name)
    const same =
      info?.dtype === 'F32' &&
      info.shape.join() === variable.shape.join() &&
      Buffer.compare(await file!.read(name), variableBytes(variable)) === 0
    if (!same) rest.set(name, variable)
  }
  await file?.close()
  return [...rest].map(([name, variable]) => ({
    name,
    dtype: 'F32' as const,
    shape: variable.shape,
    data: () => variableBytes(variable),
  }))
}

/**
 * Writes a checkpoint under a temporary name and moves it into place when it is whole.
 *
 * @throws {TunesmithError} `io`, with nothing changed on disk.
 */
export async function saveCheckpoint(folder: string, run: TrainRun): Promise<void> {
  const { peft, parameters, optimizer, config } = run
  const saved = savedRun(run)
  await writeFolderAtomic(folder, async (temporary) => {
    await saveTrained(temporary, run)
    if (peft) {
      const rest = await notInAdapter(temporary, peft, parameters)
      if (rest.length > 0) await writeSafetensors(join(temporary, TRAINABLE_FILE), rest)
    }
    await writeSafetensors(join(temporary, OPTIMIZER_FILE), optimizer.tensors())
    const json = (value: object) => `${JSON.stringify(value, null, 1)}\n`
    await writeFileAtomic(join(temporary, STATE_FILE), json(toTrainerStateJson(saved)))
    await writeFileAtomic(join(temporary, 'training_args.json'), json(config))
    await writeManifest(temporary, { step: saved.run.globalStep, run: saved.run.startedAt })
  })
}
