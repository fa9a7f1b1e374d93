import { appendFile, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolder, writeFileAtomic } from '@tunesmith/core'
import type { TrainerCallback } from '../callbacks/events'

/** The lines of steps up to `step`; what a killed program left of its last line is none. */
function linesUpTo(step: number, text: string): string[] {
  return text.split('\n').filter((line) => {
    try {
      return JSON.parse(line).step <= step
    } catch {
      return false
    }
  })
}

/**
 * One JSON object per log and evaluation, appended as they come: what a crashed run leaves behind. A resumed training keeps
 * the lines up to its checkpoint and writes the others again.
 */
export function jsonlReporter(path: string): TrainerCallback {
  const append = (entry: object) => appendFile(path, `${JSON.stringify(entry)}\n`)
  return {
    async onTrainBegin({ resumedStep }) {
      await makeFolder(dirname(path))
      const before = resumedStep > 0 ? await readFile(path, 'utf8').catch(() => '') : ''
      const kept = linesUpTo(resumedStep, before)
      await writeFileAtomic(path, kept.map((line) => `${line}\n`).join(''))
    },
    onLog: append,
    onEvaluate: append,
  }
}
