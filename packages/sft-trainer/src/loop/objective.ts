import * as tf from '@tensorflow/tfjs-core'
import type { PackedBatch } from '@tunesmith/datasets'
import { type CausalLM, type ComputeLoss, dft, labelSmoothing, nll, type TokenLoss } from '@tunesmith/models'
import type { EvalLog, Notice, TrainLog } from '../callbacks/events'
import type { SFTConfig } from '../config'
import type { BatchRows, TrainBatch } from '../data/batches'
import type { TrainingRows } from '../data/check-inputs'
import { neftune } from './neftune'

/** The loss of a micro-batch and what logs show of it, made from tensors in one forward pass. */
export interface MicroLoss {
  /** Differentiable: summed over the items of the micro-batch. */
  loss: tf.Scalar
  /** Not differentiable, by name. */
  totals: Record<string, tf.Scalar>
}

/** The numbers of one micro-batch. */
export interface MicroSums {
  /** What is minimised, before normalisation. */
  loss: number
  /** What `loss` is divided by: labelled tokens for supervised fine-tuning, 1 for a mean over pairs. */
  items: number
  tokens: number
  /** What the adapter adds to the mean loss (AdaLoRA's regulariser); 0 for most. */
  auxiliary: number
  totals: Record<string, number>
}

/** The numbers of an evaluation that come from the loss, under their names in the log. */
export type LossMetrics = Pick<
  EvalLog,
  'evalLoss' | 'evalPerplexity' | 'evalMeanTokenAccuracy' | 'evalEntropy' | 'evalLossOfBatches'
> &
  Record<string, number>

/** How a micro-batch becomes a loss. */
export interface MicroObjective<Batch extends PackedBatch = PackedBatch> {
  /** What the loss of a batch is divided by, over all micro-batches of a step. A batch with 0 is left out of evaluations. */
  items(batch: Batch): number
  /** Called and awaited before {@link microBatch}, for what has to be computed without gradients. */
  before?: ((batch: Batch) => Promise<void>) | undefined
  /** @param seed of dropout and noise in training; undefined for neither, as in evaluation. */
  microBatch(batch: Batch, seed?: number): MicroLoss
  /** What logs show of a micro-batch; they show the mean of those that are finite. */
  metrics(sums: MicroSums): Record<string, number> & Pick<TrainLog, 'meanTokenAccuracy' | 'entropy'>
  /** What an evaluation shows of all its batches, each with the number of its rows. */
  evaluation(batches: readonly { sums: MicroSums; rows: number }[]): LossMetrics
  /** A warning that the newest log gives cause for, with those before it. */
  watch?: ((logs: readonly TrainLog[]) => string | undefined) | undefined
}

/** The data of a training in the units a sampler hands out, and what a person should know about it. */
export interface Prepared {
  data: BatchRows
  /** Whether the rows are printed by a chat template. */
  conversations: boolean
  notices: Pick<Notice, 'message' | 'level'>[]
}

/** What training minimises, and on what: the one place that differs between ways of fine-tuning on the same loop. */
export interface Objective extends MicroObjective<TrainBatch> {
  /** Makes examples from rows, before the first step and before a checkpoint's weights are read. */
  prepare(rows: TrainingRows, use: 'train' | 'eval', signal?: AbortSignal): Promise<Prepared>
  /** Whether evaluation data has to be prepared before the weights change. Default false. */
  preparesBoth?: boolean
}

type LossConfig = Pick<SFTConfig, 'lossType' | 'labelSmoothingFactor' | 'gradientCheckpointing'> &
  Partial<Pick<SFTConfig, 'activationOffloading' | 'neftuneNoiseAlpha'>>

function tokenLoss({ lossType, labelSmoothingFactor }: LossConfig, computeLoss?: ComputeLoss): TokenLoss {
  if (computeLoss) return { ofLogits: computeLoss }
  const base = lossType === 'dft' ? dft : nll
  return labelSmoothingFactor > 0 ? labelSmoothing(labelSmoothingFactor, base) : base
}

/** Supervised fine-tuning: the loss of each next token. */
export function sftObjective(model: CausalLM, config: LossConfig, computeLoss?: ComputeLoss): MicroObjective {
  const loss = tokenLoss(config, computeLoss)
  const { gradientCheckpointing, activationOffloading, neftuneNoiseAlpha } = config
  const onEmbeddings = neftuneNoiseAlpha ? neftune(neftuneNoiseAlpha) : undefined
  const options = { loss, gradientCheckpointing, activationOffloading }
  return {
    items: ({ numLabels }) => numLabels,
    microBatch(batch, seed) {
      const training = seed === undefined ? options : { ...options, training: true, seed, onEmbeddings }
      const { loss, nll, entropy, correct } = model.loss(batch, batch.labels, training)
      return { loss, totals: { nll: tf.sum(nll), entropy: tf.sum(entropy), correct: tf.sum(correct) } }
    },
    metrics({ loss, items, totals }) {
      const known = items > 0 && Number.isFinite(loss)
      const mean = (total: number) => (known ? total / items : Number.NaN)
      return { meanTokenAccuracy: mean(totals.correct!), entropy: mean(totals.entropy!) }
    },
    evaluation(batches) {
      const total = (of: (sums: MicroSums) => number) => batches.reduce((sum, { sums }) => sum + of(sums), 0)
      const items = total(({ items }) => items)
      const evalLoss = total(({ loss }) => loss) / items
      const ofBatches = batches.reduce((sum, { sums, rows }) => sum + (sums.loss / sums.items) * rows, 0)
      return {
        evalLoss,
        evalPerplexity: Math.exp(evalLoss),
        evalMeanTokenAccuracy: total(({ totals }) => totals.correct!) / items,
        evalEntropy: total(({ totals }) => totals.entropy!) / items,
        evalLossOfBatches: ofBatches / batches.reduce((sum, { rows }) => sum + rows, 0),
      }
    },
  }
}
