import * as tf from '@tensorflow/tfjs-core'
import { withoutRecording } from '@tunesmith/backend'
import type { CausalLM } from '@tunesmith/models'
import type { MicroLoss, MicroObjective, TrainBatch } from '@tunesmith/sft-trainer'
import type { KTOConfig } from './config'
import { UNPAIRED_LOSSES } from './losses'
import { meanEvaluation, modelOptions } from './objective-parts'
import type { LabelledAnswer } from './prepare'
import { answerLogProbs, answerSpans, meanOver, onSpans, weightedSums } from './sequences'
import { watchRewards } from './watch'

interface TokenValues {
  logProbs: tf.Tensor1D
  entropy: tf.Tensor1D
  correct: tf.Tensor1D
}

export type KTOLossConfig = Pick<KTOConfig, 'lossType' | 'beta' | 'desirableWeight' | 'undesirableWeight'>

/**
 * The mean loss of labelled answers, and their metrics, from what the model says of their tokens.
 *
 * @param kl the estimate of the divergence, not below 0.
 */
export function unpairedLoss(
  batch: Pick<TrainBatch, 'cuSeqlens'>,
  answers: readonly LabelledAnswer[],
  { logProbs, entropy, correct }: TokenValues,
  kl: number,
  config: KTOLossConfig,
): MicroLoss {
  const { beta, desirableWeight, undesirableWeight } = config
  const spans = answerSpans(batch, answers)
  const logps = weightedSums(
    onSpans(logProbs.size, spans, () => 1),
    logProbs,
  )
  const ratio = tf.sub<tf.Tensor1D>(logps, tf.tensor1d(answers.map(({ ref = 0 }) => ref)))
  const each = (good: number, bad: number) => tf.tensor1d(answers.map(({ desirable }) => (desirable ? good : bad)))
  const lossOf: (ratio: tf.Tensor1D, sign: tf.Tensor1D, kl: number, beta: number) => tf.Tensor =
    UNPAIRED_LOSSES[config.lossType]
  const losses = lossOf(ratio, each(1, -1), kl, beta)
  const loss = tf.mean<tf.Scalar>(tf.mul(losses, each(desirableWeight, undesirableWeight)))

  const totals = withoutRecording(() => {
    // Of a batch without answers of a kind its metrics are NaN, and no part of the log's means.
    const good = answers.filter(({ desirable }) => desirable).length
    const bad = answers.length - good
    const meanOf = (values: tf.Tensor1D, mask: tf.Tensor1D, count: number): tf.Scalar =>
      count === 0 ? tf.scalar(Number.NaN) : tf.div(tf.sum(tf.mul(values, mask)), count)
    const rewards = tf.mul<tf.Tensor1D>(ratio, beta)
    const [ofGood, ofBad] = [each(1, 0), each(0, 1)]
    const chosen = meanOf(rewards, ofGood, good)
    const rejected = meanOf(rewards, ofBad, bad)
    const goodSpans = spans.filter((_, i) => answers[i]!.desirable)
    const overGood = (values: tf.Tensor1D) => (good === 0 ? tf.scalar(Number.NaN) : meanOver(goodSpans, values))
    return {
      meanTokenAccuracy: overGood(correct),
      entropy: meanOver(spans, entropy),
      kl: tf.scalar(kl),
      'rewards/chosen': chosen,
      'rewards/rejected': rejected,
      'rewards/margins': tf.sub<tf.Scalar>(chosen, rejected),
      'logps/chosen': meanOf(logps, ofGood, good),
      'logps/rejected': meanOf(logps, ofBad, bad),
      nllLoss: tf.neg<tf.Scalar>(overGood(logProbs)),
    }
  })
  return { loss, totals }
}

/** KTO: each answer against the reference and against how far the model has moved from it altogether. */
export function ktoObjective(
  model: CausalLM,
  config: KTOConfig,
  before: MicroObjective<TrainBatch>['before'],
): MicroObjective<TrainBatch> {
  const options = modelOptions(config)
  /** Of the batch at work: the divergence, computed without gradients before its loss. */
  let kl = 0
  const answersOf = ({ examples }: TrainBatch) => examples as readonly LabelledAnswer[]
  return {
    items: () => 1,
    async before(batch) {
      await before?.(batch)
      const mismatched = answersOf(batch).flatMap((answer) => answer.mismatched ?? [])
      const logps = answerLogProbs(model, mismatched)
      const distance = logps.reduce((sum, logp, i) => sum + logp - mismatched[i]!.ref!, 0)
      kl = mismatched.length === 0 ? 0 : Math.max(0, distance / mismatched.length)
    },
    microBatch(batch, seed) {
      const values = model.tokenLogProbs(batch, batch.labels, options(seed))
      return unpairedLoss(batch, answersOf(batch), values, kl, config)
    },
    metrics: ({ totals }) => totals as ReturnType<MicroObjective['metrics']>,
    evaluation: (batches) => meanEvaluation(batches),
    watch: watchRewards,
  }
}
