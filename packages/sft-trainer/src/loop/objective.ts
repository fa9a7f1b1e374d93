import type { LinearCrossEntropyResult } from '@tunesmith/backend'
import type { PackedBatch } from '@tunesmith/datasets'
import { type CausalLM, type ComputeLoss, dft, labelSmoothing, nll, type TokenLoss } from '@tunesmith/models'
import type { SFTConfig } from '../config'
import { neftune } from './neftune'

/** What training minimises: the one place that differs between ways of fine-tuning on the same loop. */
export interface Objective {
  /**
   * The loss of a micro-batch, summed over its labels, and the statistics that logs show.
   *
   * @param seed of dropout and noise in training; undefined for neither, as in evaluation.
   */
  loss(batch: PackedBatch, seed?: number): LinearCrossEntropyResult
}

type LossConfig = Pick<SFTConfig, 'lossType' | 'labelSmoothingFactor' | 'gradientCheckpointing'> &
  Partial<Pick<SFTConfig, 'activationOffloading' | 'neftuneNoiseAlpha'>>

function tokenLoss({ lossType, labelSmoothingFactor }: LossConfig, computeLoss?: ComputeLoss): TokenLoss {
  if (computeLoss) return { ofLogits: computeLoss }
  const base = lossType === 'dft' ? dft : nll
  return labelSmoothingFactor > 0 ? labelSmoothing(labelSmoothingFactor, base) : base
}

/** Supervised fine-tuning: the loss of each next token. */
export function sftObjective(model: CausalLM, config: LossConfig, computeLoss?: ComputeLoss): Objective {
  const loss = tokenLoss(config, computeLoss)
  const { gradientCheckpointing, activationOffloading, neftuneNoiseAlpha } = config
  const onEmbeddings = neftuneNoiseAlpha ? neftune(neftuneNoiseAlpha) : undefined
  const options = { loss, gradientCheckpointing, activationOffloading }
  return {
    loss: (batch, seed) =>
      model.loss(
        batch,
        batch.labels,
        seed === undefined ? options : { ...options, training: true, seed, onEmbeddings },
      ),
  }
}
