import { TunesmithError } from '@tunesmith/core'
import {
  collate,
  createSampler,
  type PackedBatch,
  packExamples,
  type Sampler,
  type TokenizedExample,
} from '@tunesmith/datasets'
import type { SFTConfig } from './config'

/** The training data in the units a sampler hands out: single sequences, or rows packed with several. */
export interface TrainingRows {
  rows: TokenizedExample[][]
  /** Tokens over the capacity of the packed rows; 1 without packing. */
  efficiency: number
}

export function trainingRows(examples: readonly TokenizedExample[], { packing, maxLength }: SFTConfig): TrainingRows {
  if (!packing) return { rows: examples.map((example) => [example]), efficiency: 1 }
  const { bins, report } = packExamples(examples, { maxLength })
  return { rows: bins, efficiency: report.efficiency }
}

export function trainSampler({ rows }: TrainingRows, config: SFTConfig): Sampler {
  if (rows.length === 0) throw new TunesmithError('There is nothing to train on', { code: 'invalid_data' })
  return createSampler({
    length: rows.length,
    batchSize: config.perDeviceTrainBatchSize,
    shuffle: config.trainSamplingStrategy === 'random',
    seed: config.dataSeed ?? config.seed,
  })
}

/** Optimizer steps of the whole training; the last of an epoch may have fewer micro-batches. */
export function plannedSteps(rows: number, config: SFTConfig): { stepsPerEpoch: number; totalSteps: number } {
  const microBatches = Math.ceil(rows / config.perDeviceTrainBatchSize)
  const stepsPerEpoch = Math.ceil(microBatches / config.gradientAccumulationSteps)
  const totalSteps = config.maxSteps > 0 ? config.maxSteps : Math.ceil(config.numTrainEpochs * stepsPerEpoch)
  return { stepsPerEpoch, totalSteps }
}

/** The micro-batches of the next optimizer step; a window never reaches across the end of an epoch. */
export function nextWindow(sampler: Sampler, { rows }: TrainingRows, config: SFTConfig): PackedBatch[] {
  const window: PackedBatch[] = []
  while (window.length < config.gradientAccumulationSteps) {
    const indices = sampler.next()
    if (indices) window.push(collate(indices.flatMap((i) => rows[i]!)))
    else if (window.length > 0) break
    else sampler.nextEpoch()
  }
  return window
}

/** Evaluation batches, in order. */
export function evalBatches(examples: readonly TokenizedExample[], batchSize: number): PackedBatch[] {
  const batches: PackedBatch[] = []
  for (let i = 0; i < examples.length; i += batchSize) batches.push(collate(examples.slice(i, i + batchSize)))
  return batches
}
