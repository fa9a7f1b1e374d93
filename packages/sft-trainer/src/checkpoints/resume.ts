import { join } from 'node:path'
import { incompatible } from '@tunesmith/core'
import { openSafetensors, readJsonFile } from '@tunesmith/hub'
import type { TrainerControl } from '../callbacks/events'
import type { TrainingConfig } from '../config'
import type { RunState } from '../loop/run-state'
import type { TrainRun } from '../loop/train-run'
import { besideCheckpoint, type ResumePoint } from './keeper'
import { loadParameters } from './load'
import { OPTIMIZER_FILE, STATE_FILE } from './save'
import { logHistory, type SavedRun } from './saved-run'

export interface ResumedRun {
  folder: string
  saved: SavedRun
  state: RunState
  control: TrainerControl
  notices: ResumePoint['notices']
}

/** Settings that may change between runs without a word. */
const INDIFFERENT = new Set(['outputDir', 'runName', 'reportTo', 'resumeFromCheckpoint', 'saveOnSignal'])

async function changedSettings(folder: string, config: TrainingConfig): Promise<string[]> {
  const before = await readJsonFile<Record<string, unknown>>(join(folder, 'training_args.json'))
  const now = JSON.parse(JSON.stringify(config)) as Record<string, unknown>
  const show = (value: unknown) => (value === undefined ? 'unset' : JSON.stringify(value))
  return [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((key) => !INDIFFERENT.has(key) && show(before[key]) !== show(now[key]))
    .map((key) => `${key} ${show(before[key])} to ${show(now[key])}`)
}

/**
 * What a verified checkpoint remembers.
 *
 * @throws {TunesmithError} `incompatible` when it was made with other data.
 */
export async function readForResume(folder: string, config: TrainingConfig, dataDigest: string): Promise<ResumedRun> {
  const path = join(folder, STATE_FILE)
  const { tunesmith: saved } = await readJsonFile<{ tunesmith?: SavedRun }>(path)
  if (!saved)
    throw incompatible('The checkpoint was not saved by this trainer', {
      where: path,
      remedy: 'Load its weights as a model or adapter instead, and start a new run with them',
    })
  if (saved.dataDigest !== dataDigest)
    throw incompatible('The training data is not what the checkpoint was made with', {
      where: folder,
      remedy:
        'Resume with the same rows, tokenizer, maxLength and packing, or start a new run from the checkpoint’s adapter',
    })
  if (saved.optim !== config.optim)
    throw incompatible(`The checkpoint was saved with the optimizer "${saved.optim}", not "${config.optim}"`, {
      where: folder,
      remedy: `Resume with optim "${saved.optim}", or start a new run from the checkpoint’s weights`,
    })
  const { run } = saved
  const notices: ResumedRun['notices'] = [{ message: `resuming from ${folder}, step ${run.globalStep}`, level: 'info' }]
  const changed = await changedSettings(folder, config)
  if (changed.length > 0)
    notices.push({ message: `settings changed since the checkpoint: ${changed.join(', ')}`, level: 'warning' })
  return {
    folder,
    saved,
    state: {
      ...run,
      logHistory: logHistory(run),
      bestModelCheckpoint: besideCheckpoint(folder, run.bestModelCheckpoint),
      lastCheckpoint: besideCheckpoint(folder, run.lastCheckpoint),
    },
    control: saved.control,
    notices,
  }
}

/** Puts weights, optimizer and everything that counts back to where they were. */
export async function restoreRun({ folder, saved }: ResumedRun, run: TrainRun): Promise<void> {
  await loadParameters(folder, new Map([...run.parameters, ...(run.peft?.trainingState() ?? [])]))
  const file = await openSafetensors(join(folder, OPTIMIZER_FILE))
  await run.optimizer.load(saved.optimizer, file).finally(() => file.close())
  run.schedule.load(saved.schedule)
  run.scaler.load(saved.scaler)
  run.window.load(saved.window)
  for (const { name, load } of run.emitter.callbacks) {
    const known = name === undefined ? undefined : saved.callbacks[name]
    if (known) load?.(known)
  }
}
