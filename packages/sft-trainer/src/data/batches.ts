import { createHash } from 'node:crypto'
import { createTurns, invalidData, type TokenList } from '@tunesmith/core'
import {
  collate,
  createSampler,
  type PackedBatch,
  packExamplesInTurns,
  type SamplerState,
  type TokenizedExample,
} from '@tunesmith/datasets'
import type { SFTConfig, TrainingConfig } from '../config'
import type { SourcedExample } from './prepare'

/** The data in the units a sampler hands out: single sequences, or rows packed with several. */
export interface BatchRows {
  rows: TokenizedExample[][]
  sequences: number
  tokens: number
  labelledTokens: number
  /** Tokens over the capacity of the packed rows; 1 without packing. */
  efficiency: number
}

export async function batchRows(
  examples: readonly SourcedExample[],
  { packing, packingStrategy, maxLength }: Pick<SFTConfig, 'packing' | 'packingStrategy' | 'maxLength'>,
): Promise<BatchRows> {
  const packed = packing ? await packExamplesInTurns(examples, { maxLength, strategy: packingStrategy }) : undefined
  const rows = packed?.bins ?? examples.map((example) => [example])
  return countRows(rows, packed?.report.efficiency)
}

/** Rows of one or several sequences, which stay together in a batch, with their counts. */
export async function countRows(rows: TokenizedExample[][], efficiency = 1): Promise<BatchRows> {
  let [sequences, tokens, labelledTokens] = [0, 0, 0]
  const turns = createTurns()
  for (const row of rows) {
    for (const { labels } of row) {
      sequences++
      tokens += labels.length
      for (let t = 1; t < labels.length; t++) if (labels[t]! >= 0) labelledTokens++
    }
    await turns()
  }
  return { rows, sequences, tokens, labelledTokens, efficiency }
}

/** A digest of all token ids and labels: a checkpoint goes on with the data it was made with, or not at all. */
export async function dataDigest({ rows }: BatchRows): Promise<string> {
  const hash = createHash('sha256')
  const turns = createTurns()
  const add = (list: TokenList) => {
    const { buffer, byteOffset, byteLength } = list instanceof Int32Array ? list : Int32Array.from(list)
    hash.update(new Uint8Array(buffer, byteOffset, byteLength))
  }
  for (const row of rows) {
    for (const { inputIds, labels } of row) {
      add([inputIds.length])
      add(inputIds)
      add(labels)
    }
    await turns()
  }
  return hash.digest('hex').slice(0, 16)
}

/** A batch that still knows which examples it was made of. */
export type TrainBatch = PackedBatch & { examples: readonly TokenizedExample[] }

export interface MicroBatch {
  batch: TrainBatch
  /** Rows handed to the batch, packed or not. */
  rows: number
  /** The dataset's rows in it, for messages. */
  sources: number[]
}

export interface BatchStreamState {
  sampler: SamplerState
  /** Whether the rest of this epoch is left out. */
  epochEnded: boolean
  /** Tells whether a resumed run counts its steps in the same units. */
  stepsPerEpoch: number
}

const trainBatch = (examples: readonly TokenizedExample[]): TrainBatch => ({ ...collate(examples), examples })

/** Hands out the training data, one optimizer step's micro-batches at a time, epoch after epoch. */
export interface BatchStream {
  /** Optimizer steps of an epoch; the last may have fewer micro-batches. */
  readonly stepsPerEpoch: number
  /**
   * Steps until the rows of all epochs so far were handed out, counted with this batch size and accumulation, although
   * some may have been taken with others before a resume.
   */
  readonly stepsDone: number
  /** Epochs handed out, with the fraction. */
  readonly epoch: number
  /** Whether the next window opens an epoch. */
  readonly atEpochEnd: boolean
  /** The micro-batches of the next optimizer step; a window never reaches across the end of an epoch. */
  nextWindow(): MicroBatch[]
  /** Leaves out the rest of this epoch. */
  endEpoch(): void
  state(): BatchStreamState
}

export function createBatchStream({ rows }: BatchRows, config: TrainingConfig, state?: BatchStreamState): BatchStream {
  const { perDeviceTrainBatchSize: batchSize, gradientAccumulationSteps, trainSamplingStrategy } = config
  const lengths = rows.map((row) => row.reduce((sum, { inputIds }) => sum + inputIds.length, 0))
  const sampler = createSampler(
    {
      length: rows.length,
      batchSize,
      shuffle: trainSamplingStrategy !== 'sequential',
      seed: config.dataSeed ?? config.seed,
      dropLast: config.dataloaderDropLast,
      ...(trainSamplingStrategy === 'group_by_length' && { groupByLength: true, lengths }),
    },
    state?.sampler,
  )
  if (sampler.batchesPerEpoch === 0)
    throw invalidData(`There is no full batch of ${batchSize} in ${rows.length} rows`, {
      where: 'perDeviceTrainBatchSize',
      remedy: 'Lower perDeviceTrainBatchSize, or set dataloaderDropLast to false',
    })
  let epochEnded = state?.epochEnded ?? false
  const batchesLeft = () => (epochEnded ? 0 : sampler.batchesLeft)
  const steps = (batches: number) => Math.ceil(batches / gradientAccumulationSteps)
  const stepsPerEpoch = steps(sampler.batchesPerEpoch)
  return {
    stepsPerEpoch,
    get stepsDone() {
      return (sampler.epoch + 1) * stepsPerEpoch - steps(batchesLeft())
    },
    get epoch() {
      return sampler.epoch + (sampler.batchesPerEpoch - batchesLeft()) / sampler.batchesPerEpoch
    },
    get atEpochEnd() {
      return batchesLeft() === 0
    },
    nextWindow() {
      if (batchesLeft() === 0) {
        sampler.nextEpoch()
        epochEnded = false
      }
      const window: MicroBatch[] = []
      while (window.length < gradientAccumulationSteps && batchesLeft() > 0) {
        const indices = sampler.next()!
        const examples = indices.flatMap((i) => rows[i]!)
        // Packing makes new examples of cut ones, whose origin is then the packed row.
        const sources = examples.map((example) => (example as Partial<SourcedExample>).row ?? -1)
        window.push({ batch: trainBatch(examples), rows: indices.length, sources: [...new Set(sources)] })
      }
      return window
    },
    endEpoch() {
      epochEnded = true
    },
    state: () => ({ sampler: sampler.state(), epochEnded, stepsPerEpoch }),
  }
}

/** Evaluation batches, in order. */
export function* evalBatches({ rows }: BatchRows, batchSize: number): Generator<{ batch: TrainBatch; rows: number }> {
  for (let i = 0; i < rows.length; i += batchSize) {
    const some = rows.slice(i, i + batchSize)
    yield { batch: trainBatch(some.flat()), rows: some.length }
  }
}
