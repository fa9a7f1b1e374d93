import { createHash } from 'node:crypto'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { createProgress, TunesmithError, writeFileAtomic } from '@tunesmith/core'
import { readJsonFile } from '@tunesmith/hub'
import type { CausalLM } from '@tunesmith/models'
import type { PeftModel } from '@tunesmith/peft-lora'
import type { DPOConfig } from './config'
import { type Answer, answerLogProbs } from './sequences'

/** What answers are compared with: a model that does not learn. */
export interface Reference {
  /** Log-probabilities of answers; with `ldAlpha` they come in pairs. */
  logProbs(answers: readonly Answer[], ldAlpha?: number): Promise<number[]>
  /** Tells references apart whose log-probabilities could be kept. */
  name: string
}

interface Parts {
  model: CausalLM
  peft: PeftModel | undefined
  /** Whether the adapter is new: then the reference is the model without it. */
  newAdapter: boolean
  /** A model of its own, which goes before everything else. */
  refModel: CausalLM | undefined
  /** What is trained. */
  parameters: ReadonlyMap<string, tf.Variable>
}

const shortHash = (update: (hash: ReturnType<typeof createHash>) => void) => {
  const hash = createHash('sha256')
  update(hash)
  return hash.digest('hex').slice(0, 16)
}

function bytesOf(variable: tf.Tensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = variable.dataSync() as Float32Array
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/**
 * The reference of a training: a model of its own, the model without its new adapter, or what is trained as it is now.
 *
 * @param keepsCopy whether it is asked after training has begun, so that weights that learn have to be copied.
 */
export function referenceOf({ model, peft, newAdapter, refModel, parameters }: Parts, keepsCopy: boolean): Reference {
  const base = `${(refModel ?? model).nameOrPath ?? ''} ${JSON.stringify((refModel ?? model).config)}`
  if (refModel) return { name: base, logProbs: async (answers, ldAlpha) => answerLogProbs(refModel, answers, ldAlpha) }
  const ofModel = (answers: readonly Answer[], ldAlpha?: number) => answerLogProbs(model, answers, ldAlpha)
  if (peft && newAdapter)
    return { name: base, logProbs: (answers, ldAlpha) => peft.withoutAdapter(() => ofModel(answers, ldAlpha)) }

  const variables = [...parameters.values(), ...(peft?.trainingState().values() ?? [])]
  const name = `${base} ${shortHash((hash) => {
    for (const variable of variables) hash.update(bytesOf(variable))
  })}`
  if (!keepsCopy) return { name, logProbs: async (answers, ldAlpha) => ofModel(answers, ldAlpha) }
  const frozen = variables.map((variable) => tf.tensor(variable.dataSync().slice(), variable.shape))
  return {
    name,
    async logProbs(answers, ldAlpha) {
      const now = variables.map((variable) => tf.tensor(variable.dataSync().slice(), variable.shape))
      const put = (values: readonly tf.Tensor[]) => {
        for (const [i, variable] of variables.entries()) variable.assign(values[i]!)
      }
      put(frozen)
      try {
        return ofModel(answers, ldAlpha)
      } finally {
        put(now)
        tf.dispose(now)
      }
    },
  }
}

interface Kept {
  logProbs: number[]
}

/**
 * Gives every answer its `ref`, in batches of rows. They are kept in `outputDir`, under the data, the model and the adapter, and taken
 * from there when the first batch still comes out the same.
 *
 * @param rows the answers that are computed together.
 * @throws {TunesmithError} `numerical` when the reference says something that is no number.
 */
export async function precompute(
  reference: Reference,
  rows: readonly (readonly Answer[])[],
  config: Pick<DPOConfig, 'outputDir' | 'reportTo' | 'precomputeRefBatchSize' | 'perDeviceTrainBatchSize'>,
  { digest, ldAlpha, signal }: { digest: string; ldAlpha?: number | undefined; signal?: AbortSignal | undefined },
): Promise<void> {
  const size = config.precomputeRefBatchSize ?? config.perDeviceTrainBatchSize
  const key = shortHash((hash) =>
    hash.update(JSON.stringify([digest, reference.name, ldAlpha ?? null, size, config.perDeviceTrainBatchSize])),
  )
  const path = join(config.outputDir, `reference-${key}.json`)
  const answers = rows.flat()
  const batch = (start: number) => rows.slice(start, start + size).flat()
  const first = await reference.logProbs(batch(0), ldAlpha)
  const kept = await readJsonFile<Kept>(path).catch(() => undefined)
  const near = (a: number, b: unknown) => typeof b === 'number' && Math.abs(a - b) <= 1e-3 * Math.max(1, Math.abs(a))
  if (kept?.logProbs?.length === answers.length && first.every((value, i) => near(value, kept.logProbs[i]))) {
    for (const [i, answer] of answers.entries()) answer.ref = kept.logProbs[i]!
    return
  }
  const logProbs = [...first]
  const progress = config.reportTo.includes('console')
    ? createProgress({ label: 'reference', total: rows.length, stream: process.stderr })
    : undefined
  for (let start = size; start < rows.length; start += size) {
    signal?.throwIfAborted()
    logProbs.push(...(await reference.logProbs(batch(start), ldAlpha)))
    progress?.update(Math.min(rows.length, start + size))
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  progress?.finish()
  const broken = logProbs.findIndex((value) => !Number.isFinite(value))
  if (broken >= 0)
    throw new TunesmithError(`The reference gives the log-probability ${logProbs[broken]}`, {
      code: 'numerical',
      where: `row ${answers[broken]!.row}`,
      remedy: 'Look for NaN in the weights the reference was loaded from',
    })
  for (const [i, answer] of answers.entries()) answer.ref = logProbs[i]!
  await writeFileAtomic(path, JSON.stringify({ logProbs } satisfies Kept)).catch(() => {})
}
