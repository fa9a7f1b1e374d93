import * as tf from '@tensorflow/tfjs-core'
import { stopGradient } from '@tunesmith/backend'

/** One answer of each pair, `[pairs]` each. */
export interface Side {
  /** The log-probability of the answer; with `ldAlpha` its end weighs less. */
  logps: tf.Tensor1D
  /** The same under the reference. */
  ref: tf.Tensor1D
  /** `logps - ref`. */
  ratio: tf.Tensor1D
  /** The ratio through the f-divergence; the ratio itself for `reverse_kl`. */
  score: tf.Tensor1D
  /** The log-probability per token that is predicted. */
  mean: tf.Tensor1D
  /** Tokens of the answer, also a first one that nothing predicts: the mask before it is shifted, as in TRL. */
  tokens: tf.Tensor1D
}

/** What losses are made of. */
export interface Pairs {
  chosen: Side
  rejected: Side
  /** `chosen.score - rejected.score` */
  delta: tf.Tensor1D
  /** The mean negative log-likelihood of all tokens of the chosen answers. */
  nll: () => tf.Scalar
  /** The same with the tokens of their prompts. */
  nllWithPrompts: () => tf.Scalar
}

export interface LossOptions {
  beta: number
  labelSmoothing: number
  discopopTau: number
  simpoGamma: number
  cpoAlpha: number
}

/** The loss of each pair, `[pairs]`, or a scalar for all of them. */
export type PairLoss = (pairs: Pairs, options: LossOptions) => tf.Tensor

const { add, sub, mul, div, neg, square, sigmoid, exp } = tf
/** By an operation whose gradient at 0, where every new adapter begins, is exactly a half. */
export const logSigmoid = (x: tf.Tensor) => neg(tf.softplus(neg(x)))
/** `-log sigmoid(x)`, with the share `smoothing` of the labels taken for wrong. */
const smoothed = (x: tf.Tensor, smoothing: number) =>
  sub(mul(logSigmoid(x), smoothing - 1), mul(logSigmoid(neg(x)), smoothing))
const perToken = ({ score, tokens }: Side) => div(score, tokens)
const marginPerToken = ({ chosen, rejected }: Pairs) => sub(perToken(chosen), perToken(rejected))

/** Sorted upwards; differentiable. */
function sorted(x: tf.Tensor1D): tf.Tensor1D {
  const values = x.dataSync()
  const order = Int32Array.from(values.keys()).sort((a, b) => values[a]! - values[b]!)
  return tf.gather(x, tf.tensor1d(order, 'int32'))
}

/** `log(1 - exp(x))` for negative x, exact near 0 as well as far from it. */
function log1mexp(x: tf.Tensor): tf.Tensor {
  return tf.where(tf.less(stopGradient(x), -Math.LN2), tf.log1p(neg(exp(x))), tf.log(neg(tf.expm1(x))))
}

/** The log of how much greater the odds of the chosen answers are. */
export const logOdds = ({ chosen, rejected }: Pairs) =>
  sub(sub(chosen.mean, rejected.mean), sub(log1mexp(chosen.mean), log1mexp(rejected.mean)))

/** All losses by TRL's names, each after its paper. */
export const LOSSES = {
  /** DPO (Rafailov et al. 2023, arXiv:2305.18290). */
  sigmoid: ({ delta }, { beta }) => neg(logSigmoid(mul(delta, beta))),
  /** SLiC's hinge on the margin (Zhao et al. 2023, arXiv:2305.10425). */
  hinge: ({ delta }, { beta }) => tf.relu(sub(1, mul(delta, beta))),
  /** IPO (Azar et al. 2023, arXiv:2310.12036), per token. */
  ipo: (pairs, { beta }) => square(sub(marginPerToken(pairs), 1 / (2 * beta))),
  /** EXO for pairs (Ji et al. 2024, arXiv:2402.00856). */
  exo_pair({ delta }, { beta, labelSmoothing }) {
    const x = mul(delta, beta)
    const won = mul(sigmoid(x), sub(logSigmoid(x), Math.log1p(-labelSmoothing)))
    return add(won, mul(sigmoid(neg(x)), sub(logSigmoid(neg(x)), Math.log(labelSmoothing))))
  },
  /** NCA (Chen et al. 2024, arXiv:2402.05369). */
  nca_pair({ chosen, rejected }, { beta }) {
    const [won, lost] = [mul(chosen.ratio, beta), mul(rejected.ratio, beta)]
    return neg(add(logSigmoid(won), mul(add(logSigmoid(neg(won)), logSigmoid(neg(lost))), 0.5)))
  },
  /** Robust DPO (Chowdhury et al. 2024, arXiv:2403.00409): the share `labelSmoothing` of the pairs is the wrong way round. */
  robust({ delta }, { beta, labelSmoothing: e }) {
    const x = mul(delta, beta)
    return div(sub(mul(logSigmoid(neg(x)), e), mul(logSigmoid(x), 1 - e)), 1 - 2 * e)
  },
  /** BCO on pairs (Jung et al. 2024, arXiv:2404.04656), without its shift of the rewards. */
  bco_pair: ({ chosen, rejected }, { beta }) =>
    neg(add(logSigmoid(mul(chosen.ratio, beta)), logSigmoid(mul(rejected.ratio, -beta)))),
  /** SPPO with hard labels (Wu et al. 2024, arXiv:2405.00675). */
  sppo_hard: ({ chosen, rejected }, { beta }) =>
    add(square(sub(chosen.ratio, 0.5 / beta)), square(add(rejected.ratio, 0.5 / beta))),
  /** AOT on pairs (Melnyk et al. 2024, arXiv:2406.05882): sorted margins of the batch against those of the reference. */
  aot({ chosen, rejected }, { beta, labelSmoothing }) {
    const delta = sub(sorted(sub(chosen.logps, rejected.logps)), sorted(sub(chosen.ref, rejected.ref)))
    return smoothed(mul(delta, beta), labelSmoothing)
  },
  /** AOT without pairs: the sorted ratios of both sides. */
  aot_unpaired: ({ chosen, rejected }, { beta, labelSmoothing }) =>
    smoothed(mul(sub(sorted(chosen.ratio), sorted(rejected.ratio)), beta), labelSmoothing),
  /** APO-zero (D'Oosterlinck et al. 2024, arXiv:2408.06266), for chosen answers better than the model's own. */
  apo_zero: ({ chosen, rejected }, { beta }) =>
    add(sub(1, sigmoid(mul(chosen.ratio, beta))), sigmoid(mul(rejected.ratio, beta))),
  /** APO-down, for chosen answers worse than the model's own. */
  apo_down: ({ chosen, rejected }, { beta }) =>
    add(sigmoid(mul(chosen.ratio, beta)), sub(1, sigmoid(mul(sub(chosen.ratio, rejected.ratio), beta)))),
  /** DiscoPOP (Lu et al. 2024, arXiv:2406.08414): logistic and exponential, blended by the margin. */
  discopop({ delta }, { beta, discopopTau }) {
    const x = mul(delta, beta)
    const blend = sigmoid(div(x, discopopTau))
    return add(mul(neg(logSigmoid(x)), sub(1, blend)), mul(exp(neg(x)), blend))
  },
  /** The likelihood of the chosen answers, as in RPO (Pang et al. 2024, arXiv:2404.19733). */
  sft: ({ nll }) => nll(),
  /** DPO on log-probabilities per token, as in LN-DPO (Lambert et al. 2024, arXiv:2411.15124). */
  sigmoid_norm: (pairs, { beta }) => neg(logSigmoid(mul(marginPerToken(pairs), beta))),
  /** ORPO (Hong et al. 2024, arXiv:2403.07691), with no reference; `beta` is its lambda. The likelihood includes the prompt. */
  orpo: (pairs, { beta }) => sub(pairs.nllWithPrompts(), mul(logSigmoid(logOdds(pairs)), beta)),
  /** SimPO (Meng et al. 2024, arXiv:2405.14734), with no reference. */
  simpo: ({ chosen, rejected }, { beta, simpoGamma, labelSmoothing }) =>
    smoothed(sub(mul(sub(chosen.mean, rejected.mean), beta), simpoGamma), labelSmoothing),
  /** CPO (Xu et al. 2024, arXiv:2401.08417), with no reference: the margin, and `cpoAlpha` of the likelihood. */
  cpo: ({ chosen, rejected, nll }, { beta, labelSmoothing, cpoAlpha }) =>
    add(smoothed(mul(sub(chosen.logps, rejected.logps), beta), labelSmoothing), mul(nll(), cpoAlpha)),
} satisfies Record<string, PairLoss>

export type LossName = keyof typeof LOSSES

/** The f-divergences of f-DPO (Wang et al. 2023, arXiv:2309.16240): ratios `[pairs]` to scores. */
export const DIVERGENCES = {
  reverse_kl: (ratio) => ratio,
  forward_kl: (ratio) => sub(1, exp(neg(ratio))),
  js_divergence: (ratio) => add(Math.LN2, logSigmoid(ratio)),
  /** Clipped where its exponential would be too large, as in TRL; with a coefficient of 1 it is `reverse_kl`. */
  alpha_divergence(ratio, alpha) {
    if (Math.abs(alpha - 1) < 1e-6) return ratio
    return div(sub(exp(tf.minimum(mul(ratio, alpha - 1), 80)), 1), alpha - 1)
  },
} satisfies Record<string, (ratio: tf.Tensor1D, alpha: number) => tf.Tensor>

export type DivergenceName = keyof typeof DIVERGENCES

/** Losses on the difference of the scores: only there the part of an f-divergence that nobody knows cancels. */
export const WITH_DIVERGENCE: readonly LossName[] = [
  'sigmoid',
  'sigmoid_norm',
  'hinge',
  'ipo',
  'exo_pair',
  'robust',
  'discopop',
  'sft',
]

/** Losses that ask no reference. */
export const WITHOUT_REFERENCE: readonly LossName[] = ['orpo', 'simpo', 'cpo']

/** KTO's losses (Ethayarajh et al. 2024, arXiv:2402.01306): ratios `[rows]`, for each 1 or -1, and the estimate of the KL. */
export const UNPAIRED_LOSSES = {
  kto: (ratio, sign, kl, beta) => sub(1, sigmoid(mul(mul(sub(ratio, kl), sign), beta))),
  /** APO-zero for answers without a partner. */
  apo_zero_unpaired: (ratio, sign, _, beta) => sub(1, sigmoid(mul(mul(ratio, sign), beta))),
} satisfies Record<string, (ratio: tf.Tensor1D, sign: tf.Tensor1D, kl: number, beta: number) => tf.Tensor>

export type UnpairedLossName = keyof typeof UNPAIRED_LOSSES
