import { join } from 'node:path'
import { packExamples, type TokenizedExample } from '@tunesmith/datasets'
import type { CausalLM } from '@tunesmith/models'
import type { LoraConfigOptions } from '@tunesmith/peft-lora'
import { SFTTrainer } from '@tunesmith/sft-trainer'

export interface PackingTrialOptions {
  model: CausalLM
  peftConfig: LoraConfigOptions
  examples: readonly TokenizedExample[]
  maxLength: number
  learningRate: number
  /** Optimizer steps of each of the four rounds. */
  steps: number
  outputDir: string
}

export interface PackingRound {
  /** Rows of a batch, and notes in each of them on average. */
  rows: number
  notesPerRow: number
  /** Tokens of each step. */
  sizes: number[]
  tokensPerSecond: number
  /** Of the last step. */
  loss: number
}

const ROWS = 4

/**
 * Trains a new adapter for a few steps without packing and with it, on batches of about as many tokens. In turns, and the
 * faster of two rounds each, so that warming up and other programs weigh on neither way.
 *
 * @returns both ways, and the share of the packed rows that is filled.
 */
export async function packingTrial({
  model,
  peftConfig,
  examples,
  maxLength,
  learningRate,
  steps,
  outputDir,
}: PackingTrialOptions) {
  const { report } = packExamples(examples, { maxLength })
  const notesPerRow = examples.length / report.bins
  const round = async (packing: boolean): Promise<PackingRound> => {
    const rows = packing ? ROWS : Math.round(ROWS * notesPerRow)
    const trainer = new SFTTrainer({
      model,
      peftConfig,
      args: {
        outputDir: join(outputDir, `packing-${packing ? 'on' : 'off'}`),
        packing,
        maxLength,
        maxSteps: steps,
        perDeviceTrainBatchSize: rows,
        learningRate,
        saveStrategy: 'no',
        reportTo: [],
        loggingSteps: 1,
      },
      trainDataset: examples,
    })
    const { trainRuntime, numTokens, logs } = await trainer.train()
    trainer.peft!.unload()
    return {
      rows,
      notesPerRow: packing ? notesPerRow : 1,
      sizes: logs.map((log, i) => log.numTokens - (logs[i - 1]?.numTokens ?? 0)),
      tokensPerSecond: numTokens / trainRuntime,
      loss: logs.at(-1)!.loss,
    }
  }
  const rounds: PackingRound[] = []
  for (const packing of [false, true, false, true]) rounds.push(await round(packing))
  const faster = (a: PackingRound, b: PackingRound) => (a.tokensPerSecond > b.tokensPerSecond ? a : b)
  return { off: faster(rounds[0]!, rounds[2]!), on: faster(rounds[1]!, rounds[3]!), efficiency: report.efficiency }
}
