import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { writeFileAtomic } from '@tunesmith/core'
import { readJsonFile } from '@tunesmith/hub'
import type { FineTuneConfig } from './config'
import type { HeldOut } from './test-rows'

export const BASE_ANSWERS = 'base-answers.json'

interface BaseAnswers {
  digest: string
  answers: string[]
}

/**
 * The base model's answers, which a run that is resumed need not make again: they are kept in `base-answers.json` and
 * taken from there when model, prompts and settings are the same.
 */
export async function remembered(
  { model, revision, quantization, outputDir, evaluation, training }: FineTuneConfig,
  heldOut: readonly HeldOut[],
  make: () => Promise<string[]>,
): Promise<string[]> {
  const path = join(outputDir, BASE_ANSWERS)
  const prompts = heldOut.map(({ promptIds }) => promptIds)
  const digest = createHash('sha256')
    .update(JSON.stringify([model, revision ?? null, quantization ?? null, evaluation.maxNewTokens, prompts]))
    .digest('hex')
  if (training.resumeFromCheckpoint) {
    const known = await readJsonFile<Partial<BaseAnswers>>(path).catch(() => undefined)
    if (known?.digest === digest && known.answers?.length === heldOut.length) return known.answers
  }
  const answers = await make()
  await writeFileAtomic(path, `${JSON.stringify({ digest, answers } satisfies BaseAnswers)}\n`)
  return answers
}
