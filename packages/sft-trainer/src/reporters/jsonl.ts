import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { TrainerCallback } from '../events'

/** One JSON object per log and evaluation, appended as they come: what a crashed run leaves behind. */
export function jsonlReporter(path: string): TrainerCallback {
  const append = (entry: object) => appendFile(path, `${JSON.stringify(entry)}\n`)
  return {
    async onTrainBegin() {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, '')
    },
    onLog: append,
    onEvaluate: append,
  }
}
