import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isTunesmithError, notFound } from '@tunesmith/core'
import type { TrainRun } from '../loop/train-run'
import { checkpointName, listCheckpoints, newestWholeCheckpoint, removeUnfinished } from './find'
import { readManifest, verifyFiles } from './manifest'
import { saveCheckpoint } from './save'

/**
 * Saves the state after the last whole step, and deletes checkpoints beyond `saveTotalLimit`. When the disk refuses, what
 * was saved before stays, a notice says so, and training goes on.
 */
export async function saveAndRotate(run: TrainRun): Promise<void> {
  const { state, emitter } = run
  const { outputDir, saveTotalLimit } = run.config
  const folder = join(outputDir, checkpointName(state.globalStep))
  if (state.globalStep === 0) return
  const before = { last: state.lastCheckpoint, best: state.bestModelCheckpoint }
  const start = performance.now()
  state.lastCheckpoint = folder
  if (state.bestGlobalStep === state.globalStep) state.bestModelCheckpoint = folder
  // Saved already, by an interruption that came before this step's evaluation.
  if (before.last === folder) return
  try {
    await saveCheckpoint(folder, run)
  } catch (error) {
    Object.assign(state, { lastCheckpoint: before.last, bestModelCheckpoint: before.best })
    if (!isTunesmithError(error) || error.code !== 'io') throw error
    const kept = before.last ? `${basename(before.last)} is kept` : 'there is no earlier one'
    await emitter.notice(
      `checkpoint-${state.globalStep} could not be saved, ${kept}, training goes on: ${error.message}`,
      'warning',
    )
    return
  }
  run.saveSeconds = (performance.now() - start) / 1000
  await emitter.emit('onSave', { step: state.globalStep, folder, seconds: run.saveSeconds })
  if (saveTotalLimit === undefined) return
  const keep = [state.bestModelCheckpoint]
  await rotateCheckpoints(outputDir, { limit: saveTotalLimit, run: state.startedAt, keep }).catch((error: Error) =>
    emitter.notice(`an older checkpoint could not be deleted: ${error.message}`, 'warning'),
  )
}

/**
 * Deletes this run's oldest checkpoints until at most `limit` are left. The newest and the best always stay.
 *
 * @param keep folders that stay whatever their age.
 */
async function rotateCheckpoints(
  outputDir: string,
  { limit, run, keep }: { limit: number; run: number; keep: readonly (string | undefined)[] },
): Promise<void> {
  const { found } = await listCheckpoints(outputDir)
  const mine = found.filter((checkpoint) => checkpoint.run === run)
  const [newest, ...older] = mine
  if (!newest) return
  let left = mine.length
  for (const { folder } of older.reverse()) {
    if (left <= limit) return
    if (keep.includes(folder)) continue
    // Under the name of something unfinished first: a process that dies while deleting leaves nothing that looks whole.
    const doomed = join(dirname(folder), `.${basename(folder)}.deleted.tmp`)
    await rename(folder, doomed)
    await rm(doomed, { recursive: true, force: true })
    left--
  }
}

export interface ResumePoint {
  /** Undefined: begin anew. */
  folder: string | undefined
  notices: { message: string; level: 'info' | 'warning' }[]
}

/**
 * Where to go on from, with what should be said about it.
 *
 * @param wish true: the newest whole checkpoint in `outputDir`; a text: that folder; false: nowhere.
 * @throws {TunesmithError} `not_found` or `invalid_file` when the named folder is no whole checkpoint.
 */
export async function findResumePoint(outputDir: string, wish: boolean | string): Promise<ResumePoint> {
  const notices: ResumePoint['notices'] = []
  for (const name of await removeUnfinished(outputDir))
    notices.push({ message: `${name} was half-written when its process ended; it was removed`, level: 'warning' })
  if (typeof wish === 'string') {
    if (!existsSync(wish))
      throw notFound('There is no such checkpoint', {
        where: wish,
        remedy: 'Name a checkpoint-N folder, or true for the newest in outputDir',
      })
    await verifyFiles(wish, await readManifest(wish))
    return { folder: wish, notices }
  }
  if (wish) {
    const { checkpoint, problems } = await newestWholeCheckpoint(outputDir)
    for (const message of problems) notices.push({ message, level: 'warning' })
    if (!checkpoint)
      notices.push({ message: `no checkpoint to resume from in ${outputDir}: training starts anew`, level: 'info' })
    return { folder: checkpoint?.folder, notices }
  }
  const [earlier] = (await listCheckpoints(outputDir)).found
  if (earlier)
    notices.push({
      message: `${outputDir} has checkpoints of an earlier run up to step ${earlier.step}; this run starts anew and replaces those of the same steps (resumeFromCheckpoint: true would go on from there)`,
      level: 'warning',
    })
  return { folder: undefined, notices }
}

/** A saved path of a checkpoint, found again beside the one it was read from: folders may have moved to another machine. */
export const besideCheckpoint = (folder: string, saved: string | undefined): string | undefined =>
  saved === undefined ? undefined : join(dirname(folder), basename(saved))
