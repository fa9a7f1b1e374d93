import { invalidOptions } from '@tunesmith/core'
import type { CausalLM } from '@tunesmith/models'
import { PeftModel } from '@tunesmith/peft-lora'
import {
  dataDigest,
  type Method,
  type MicroObjective,
  type Prepared,
  type TrainBatch,
  type TrainerOptions,
  type TrainingRows,
} from '@tunesmith/sft-trainer'
import type { DPOConfig, KTOConfig } from './config'
import { precompute, referenceOf } from './reference'
import type { Answer } from './sequences'

export interface PreferenceTrainerOptions extends TrainerOptions {
  /**
   * The reference. Default: the model without its new adapter; or, where an adapter or the model itself goes on learning, what it is
   * when training begins.
   */
  refModel?: CausalLM
}

/** What differs between preferences in pairs and without. */
interface Kind<Config> {
  config: Config
  /** False for losses that ask none. */
  hasReference: boolean
  ldAlpha?: number | undefined
  prepare: (rows: TrainingRows, signal?: AbortSignal) => Promise<Prepared>
  /** All answers of a row that the reference is asked for. */
  answersOf: (row: readonly Answer[]) => readonly Answer[]
  objective: (model: CausalLM, before: MicroObjective<TrainBatch>['before']) => MicroObjective<TrainBatch>
}

/** The method of a trainer on preferences: its data is prepared once, with the reference's log-probabilities where they are wanted. */
export function preferenceMethod<Config extends DPOConfig | KTOConfig>(
  { refModel, model: given }: PreferenceTrainerOptions,
  { config, hasReference, ldAlpha, prepare, answersOf, objective }: Kind<Config>,
): Pick<Method<Config>, 'config' | 'objective'> {
  const model = given instanceof PeftModel ? given.model : given
  if (refModel !== undefined && typeof (refModel as Partial<CausalLM>).tokenLogProbs !== 'function')
    throw invalidOptions('This is no model to be the reference', {
      where: 'refModel',
      remedy: "Pass `await loadModel('owner/name')`, or leave refModel out",
    })
  if (refModel !== undefined && refModel === model)
    throw invalidOptions('The reference is the model that learns', {
      where: 'refModel',
      remedy: 'Leave refModel out, and the model as it is now is the reference',
    })
  const early = hasReference && config.precomputeRefLogProbs
  return {
    config,
    objective(model, peft, parameters) {
      const newAdapter = !(given instanceof PeftModel)
      const parts = { model, peft, newAdapter, refModel, parameters }
      const reference = hasReference ? referenceOf(parts, !early) : undefined
      const known = new Map<string, Promise<Prepared>>()
      const prepared = async (rows: TrainingRows, signal?: AbortSignal) => {
        const made = await prepare(rows, signal)
        if (!reference || !early) return made
        const answers = made.data.rows.map((row) => answersOf(row as Answer[]))
        await precompute(reference, answers, config, { digest: await dataDigest(made.data), ldAlpha, signal })
        return made
      }
      const now = async ({ examples }: TrainBatch) => {
        const answers = answersOf(examples as readonly Answer[])
        const refs = await reference!.logProbs(answers, ldAlpha)
        for (const [i, answer] of answers.entries()) answer.ref = refs[i]!
      }
      return {
        ...objective(model, reference && !early ? now : undefined),
        preparesBoth: early,
        // Once: what the reference said before training must not be asked again after it.
        prepare(rows, use, signal) {
          const made = known.get(use) ?? prepared(rows, signal)
          known.set(use, made)
          made.catch(() => known.delete(use))
          return made
        },
      }
    },
  }
}
