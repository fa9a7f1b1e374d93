import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { camelCase } from '@tunesmith/core'
import { Dataset, type TokenizedExample } from '@tunesmith/datasets'
import { openSafetensors, readJsonFile } from '@tunesmith/hub'
import { loadModel, packSequences } from '@tunesmith/models'
import { Tokenizer } from '@tunesmith/tokenization'
import { sharedPath } from '@tunesmith/tooling/shared'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { batchRows, createBatchStream } from '../data/batches'
import { prepareDataset } from '../data/prepare'
import { type SFTConfigOptions, SFTTrainer, sftConfig } from '../index'
import { evaluateLoss } from './evaluate'
import { sftObjective } from './objective'

const folder = sharedPath('goldens/trl_sft')
if (!folder) console.warn('skipped: the recordings of TRL are not here')

interface Prepared {
  input_ids: number[]
  labels: number[]
  seq_lengths?: number[]
}
interface MicroBatchRecord {
  input_ids: number[][]
  labels: number[][]
  attention_mask?: number[][]
  position_ids?: number[][]
  num_tokens: number
}
interface Recording {
  config: Record<string, never> & { max_length: number; train_sampling_strategy: string; loss_type: string }
  train_rows: Record<string, unknown>[]
  eval_rows: Record<string, unknown>[]
  prepared_train: Prepared[]
  prepared_eval: Prepared[]
  steps: {
    loss: number
    grad_norm: number
    learning_rate_used: number
    entropy: number
    mean_token_accuracy: number
    num_tokens: number
    epoch: number
    micro_batches: MicroBatchRecord[]
  }[]
  eval: Record<string, number>
  train_loss: number
}

const RUNS = [
  'a_prompt_completion',
  'b_assistant_only',
  'c_packing_bfd',
  'c2_packing_bfd_completion',
  'd_dft_loss',
] as const

/** TRL's settings under our names: those of a training, without the ones of Python's machinery. */
function argsOf({ config }: Recording, outputDir: string): SFTConfigOptions {
  const known = new Set(Object.keys(sftConfig({ outputDir })))
  const entries = Object.entries(config).map(([key, value]) => [camelCase(key), value] as const)
  const { reportTo: _, ...args } = Object.fromEntries(entries.filter(([key]) => known.has(key)))
  return {
    ...args,
    outputDir,
    optim: 'adamw',
    reportTo: [],
    lossType: config.loss_type === 'dft' ? 'dft' : 'nll',
    completionOnlyLoss: config.completion_only_loss,
  }
}

const record = (name: string) => readJsonFile<Recording>(join(folder!, `${name}.json`))
/** The sequences of a prepared row, of which packing may have put several into it. */
function sequencesOf({ input_ids, labels, seq_lengths = [input_ids.length] }: Prepared): TokenizedExample[] {
  let at = 0
  return seq_lengths.map((length) => {
    const start = at
    at += length
    return { inputIds: input_ids.slice(start, at), labels: labels.slice(start, at) }
  })
}

/** Packing sets the first label of each sequence to -100; it is never predicted. */
const withoutFirstLabel = ({ inputIds, labels }: TokenizedExample) => ({
  inputIds: Array.from(inputIds),
  labels: [-100, ...Array.from(labels).slice(1)],
})

/** The sequences of a recorded micro-batch, without padding. */
function recordedSequences({ input_ids, labels, attention_mask, position_ids }: MicroBatchRecord): TokenizedExample[] {
  if (attention_mask)
    return input_ids.map((ids, row) => {
      const length = attention_mask[row]!.filter((one) => one === 1).length
      return { inputIds: ids.slice(0, length), labels: labels[row]!.slice(0, length) }
    })
  const starts = position_ids![0]!.flatMap((position, t) => (position === 0 ? [t] : []))
  return starts.map((start, i) => ({
    inputIds: input_ids[0]!.slice(start, starts[i + 1]),
    labels: labels[0]!.slice(start, starts[i + 1]),
  }))
}

let output: string
let tokenizer: Tokenizer
beforeAll(async () => {
  await selectBackend()
  output = await mkdtemp(join(tmpdir(), 'tunesmith-trl-'))
  if (folder) tokenizer = await Tokenizer.fromPretrained(join(folder, 'tokenizer'))
})
afterAll(() => rm(output, { recursive: true }))

describe.runIf(folder)('what TRL recorded', () => {
  for (const name of RUNS)
    it(`${name}: the rows become the same ids, labels and batches`, async () => {
      const recording = await record(name)
      const config = sftConfig(argsOf(recording, output))
      for (const [rows, prepared] of [
        [recording.train_rows, recording.prepared_train],
        [recording.eval_rows, recording.prepared_eval],
      ] as const) {
        const { examples } = await prepareDataset(Dataset.fromRows(rows), tokenizer, config)
        const ours = (await batchRows(examples, config)).rows.map((row) => row.map(withoutFirstLabel))
        expect(ours).toEqual(prepared.map((row) => sequencesOf(row).map(withoutFirstLabel)))
      }
      if (config.trainSamplingStrategy !== 'sequential') return
      const { examples } = await prepareDataset(Dataset.fromRows(recording.train_rows), tokenizer, config)
      const stream = createBatchStream(await batchRows(examples, config), config)
      for (const { micro_batches } of recording.steps) {
        const window = stream.nextWindow()
        expect(window.length).toBe(micro_batches.length)
        micro_batches.forEach((theirs, i) => {
          expect([...window[i]!.batch.inputIds]).toEqual(
            recordedSequences(theirs).flatMap(({ inputIds }) => [...inputIds]),
          )
        })
      }
    })

  for (const name of RUNS)
    it(`${name}: training gives the same numbers at every step, evaluation and final logits too`, async () => {
      const recording = await record(name)
      const args = argsOf(recording, join(output, name))
      const sequential = recording.config.train_sampling_strategy === 'sequential'
      // Another library's random order can only be replayed: all epochs as one.
      const replayed = () =>
        recording.steps.flatMap(({ micro_batches }) => micro_batches.flatMap((micro) => recordedSequences(micro)))
      const model = await loadModel(join(folder!, '..', 'tiny-llama'))
      const trainer = new SFTTrainer({
        model,
        tokenizer,
        trainDataset: sequential ? Dataset.fromRows(recording.train_rows) : replayed(),
        evalDataset: Dataset.fromRows(recording.eval_rows),
        args: sequential ? args : { ...args, trainSamplingStrategy: 'sequential', numTrainEpochs: 1 },
      })
      const result = await trainer.train()
      expect(result.logs.length).toBe(recording.steps.length)
      result.logs.forEach((log, i) => {
        const step = recording.steps[i]!
        const where = `step ${i + 1}`
        expect(Math.abs(log.loss / step.loss - 1), `loss of ${where}`).toBeLessThan(1e-4)
        expect(Math.abs(log.gradNorm / step.grad_norm - 1), `norm of ${where}`).toBeLessThan(1e-3)
        expect(Math.abs(log.meanTokenAccuracy - step.mean_token_accuracy), `accuracy of ${where}`).toBeLessThan(1e-3)
        expect(Math.abs(log.entropy / step.entropy - 1), `entropy of ${where}`).toBeLessThan(1e-3)
        expect(log.numTokens, `tokens of ${where}`).toBe(step.num_tokens)
        expect(log.learningRate, `learning rate of ${where}`).toBe(step.learning_rate_used)
        if (sequential) expect(log.epoch).toBeCloseTo(step.epoch, 12)
      })
      expect(Math.abs(result.trainLoss / recording.train_loss - 1)).toBeLessThan(1e-4)

      const evaluation = await trainer.evaluate()
      const theirs = recording.eval
      expect(evaluation.evalNumTokens).toBe(theirs.eval_num_tokens)
      expect(Math.abs(evaluation.evalLossOfBatches / theirs.eval_loss! - 1)).toBeLessThan(1e-4)
      // TRL's accuracy and entropy are plain means over its batches; ours are means over tokens.
      const config = sftConfig(args)
      const { examples } = await prepareDataset(Dataset.fromRows(recording.eval_rows), tokenizer, config)
      const data = await batchRows(examples, config)
      const objective = sftObjective(model, config)
      const batches = Math.ceil(data.rows.length / config.perDeviceEvalBatchSize)
      const ofBatches = await Promise.all(
        Array.from({ length: batches }, (_, i) => {
          const rows = data.rows.slice(i * config.perDeviceEvalBatchSize, (i + 1) * config.perDeviceEvalBatchSize)
          return evaluateLoss(objective, { ...data, rows }, config)
        }),
      )
      const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
      const entropy = mean(ofBatches.map((metrics) => metrics!.evalEntropy))
      const accuracy = mean(ofBatches.map((metrics) => metrics!.evalMeanTokenAccuracy))
      expect(Math.abs(entropy / theirs.eval_entropy! - 1)).toBeLessThan(1e-3)
      expect(Math.abs(accuracy - theirs.eval_mean_token_accuracy!)).toBeLessThan(1e-3)

      const golden = await openSafetensors(join(folder!, 'final_logits.safetensors'))
      const read = async (key: string) => (await golden.read(key)).buffer as ArrayBuffer
      const ids = Array.from(new BigInt64Array(await read('input_ids')), Number)
      const key = [...golden.tensors.keys()].find((key) => key.includes(name))!
      const expected = new Float32Array(await read(key))
      const logits = tf.tidy(() => model.logits(model.forward(packSequences([ids]))).dataSync() as Float32Array)
      await golden.close()
      expect(logits.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)).toBeLessThan(1e-4)
      model.dispose()
    })
})
