import * as tf from '@tensorflow/tfjs-core'
import { stopGradient, withoutRecording } from '@tunesmith/backend'
import type { PackedBatch } from '@tunesmith/datasets'
import type { CausalLM, ForwardOptions } from '@tunesmith/models'
import type { MicroLoss, MicroObjective, TrainBatch } from '@tunesmith/sft-trainer'
import { type DPOConfig, needsReference, weightedLosses } from './config'
import { DIVERGENCES, LOSSES, logOdds, logSigmoid, type Pairs, type Side, WITHOUT_REFERENCE } from './losses'
import { meanEvaluation, modelOptions } from './objective-parts'
import {
  type Answer,
  agreement,
  answerSpans,
  answerWeights,
  meanOver,
  onSpans,
  weightedSums,
  wholeSpans,
} from './sequences'
import { watchRewards } from './watch'

/** Log-probabilities, entropies and hits of all labelled tokens of a batch, `[tokens]` each. */
interface TokenValues {
  logProbs: tf.Tensor1D
  entropy: tf.Tensor1D
  correct: tf.Tensor1D
  /** See {@link agreement}; only for WPO. */
  agreement?: tf.Tensor1D
}

export type DPOLossConfig = Pick<
  DPOConfig,
  | 'lossType'
  | 'lossWeights'
  | 'beta'
  | 'labelSmoothing'
  | 'discopopTau'
  | 'simpoGamma'
  | 'cpoAlpha'
  | 'ldAlpha'
  | 'fDivergenceType'
  | 'fAlphaDivergenceCoef'
  | 'useWeighting'
>

const even = <Value>(values: readonly Value[]) => values.filter((_, i) => i % 2 === 0)
const odd = <Value>(values: readonly Value[]) => values.filter((_, i) => i % 2 === 1)

/** The mean loss of pairs, and their metrics, from what the model says of their tokens. Answers are chosen, rejected, chosen... */
export function pairLoss(
  batch: PackedBatch,
  answers: readonly Answer[],
  values: TokenValues,
  config: DPOLossConfig,
): MicroLoss {
  const { logProbs, entropy, correct } = values
  const tokens = logProbs.size
  const losses = weightedLosses(config)
  const spans = answerSpans(batch, answers)
  const predicted = spans.map(({ start, end }) => Math.max(1, end - start))
  const weights = answerWeights(tokens, spans, config.ldAlpha)
  const refs = answers.map(({ ref = 0 }) => ref)
  const sums = weightedSums(weights, logProbs)
  const pick = (side: typeof even, of: readonly number[]) => tf.tensor1d(side(of) as number[])
  const half = (side: typeof even, of: tf.Tensor1D) =>
    tf.gather(of, tf.tensor1d(side([...answers.keys()]) as number[], 'int32')) as tf.Tensor1D
  const divergence: (ratio: tf.Tensor1D, alpha: number) => tf.Tensor = DIVERGENCES[config.fDivergenceType]
  const sideOf = (side: typeof even): Side => {
    const [logps, ref] = [half(side, sums), pick(side, refs)]
    const ratio = tf.sub<tf.Tensor1D>(logps, ref)
    const score = divergence(ratio, config.fAlphaDivergenceCoef) as tf.Tensor1D
    const mean = tf.div<tf.Tensor1D>(logps, pick(side, predicted))
    const counts = answers.map(({ answerTokens }) => Math.max(1, answerTokens))
    return { logps, ref, ratio, score, mean, tokens: pick(side, counts) }
  }
  const [chosen, rejected] = [sideOf(even), sideOf(odd)]
  const nll = () => tf.neg<tf.Scalar>(meanOver(even(spans), logProbs))
  const nllWithPrompts = () => tf.neg<tf.Scalar>(meanOver(even(wholeSpans(batch)), logProbs))
  const pairs: Pairs = { chosen, rejected, delta: tf.sub(chosen.score, rejected.score), nll, nllWithPrompts }

  const likely = config.useWeighting ? pairWeights(values, spans, predicted) : undefined
  const parts = losses.map(({ name, weight }) => {
    const ofPairs = LOSSES[name](pairs, config)
    return tf.mul<tf.Scalar>(tf.mean(likely ? tf.mul(ofPairs, likely) : ofPairs), weight)
  })
  const loss = parts.reduce((sum, part) => tf.add(sum, part))

  const totals = withoutRecording(() => {
    const free = !needsReference(config)
    const averaged = free && (losses[0]!.name === 'orpo' || losses[0]!.name === 'simpo')
    const [won, lost] = [chosen, rejected].map((side) => (averaged ? side.mean : side.logps)) as [
      tf.Tensor1D,
      tf.Tensor1D,
    ]
    const rewards = free ? [won, lost] : [chosen.ratio, rejected.ratio]
    const [good, bad] = rewards.map((reward) => tf.mul(reward, config.beta)) as [tf.Tensor1D, tf.Tensor1D]
    const mean = (of: tf.Tensor): tf.Scalar => tf.mean(of)
    const uses = (name: string) => losses.some((loss) => loss.name === name)
    const odds = uses('orpo') ? logOdds(pairs) : undefined
    return {
      meanTokenAccuracy: meanOver(even(spans), correct),
      entropy: meanOver(spans, entropy),
      'rewards/chosen': mean(good),
      'rewards/rejected': mean(bad),
      'rewards/accuracies': mean(tf.cast(tf.greater(good, bad), 'float32')),
      'rewards/margins': mean(tf.sub(good, bad)),
      'logps/chosen': mean(won),
      'logps/rejected': mean(lost),
      nllLoss: uses('orpo') ? nllWithPrompts() : nll(),
      ...(odds && { logOddsRatio: mean(logSigmoid(odds)), logOddsChosen: mean(odds) }),
    }
  })
  return { loss, totals }
}

/** WPO's weights of pairs (Zhou et al. 2024, arXiv:2406.11827, equation 2), `[pairs]`; without gradients. */
function pairWeights(
  { logProbs, agreement }: TokenValues,
  spans: ReturnType<typeof answerSpans>,
  predicted: readonly number[],
): tf.Tensor1D {
  return withoutRecording(() => {
    const aligned = tf.sub<tf.Tensor1D>(stopGradient(logProbs), agreement!)
    const means = tf.div(
      weightedSums(
        onSpans(logProbs.size, spans, () => 1),
        aligned,
      ),
      tf.tensor1d([...predicted]),
    )
    return tf.prod<tf.Tensor1D>(tf.reshape(tf.exp(means), [-1, 2]), 1)
  })
}

/** DPO and its kin: the mean loss of the pairs of a micro-batch. */
export function dpoObjective(
  model: CausalLM,
  config: DPOConfig,
  before: MicroObjective<TrainBatch>['before'],
): MicroObjective<TrainBatch> {
  const options = modelOptions(config)
  return {
    items: () => 1,
    before,
    microBatch(batch, seed) {
      const forward: ForwardOptions = options(seed)
      const values: TokenValues = model.tokenLogProbs(batch, batch.labels, forward)
      if (config.useWeighting) values.agreement = agreement(model, batch, forward)
      return pairLoss(batch, batch.examples as readonly Answer[], values, config)
    },
    metrics: ({ totals }) => totals as ReturnType<MicroObjective['metrics']>,
    evaluation: (batches) => meanEvaluation(batches),
    watch: WITHOUT_REFERENCE.some((name) => [config.lossType].flat().includes(name)) ? undefined : watchRewards,
  }
}
