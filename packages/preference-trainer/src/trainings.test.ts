import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { camelCase, renameKeys } from '@tunesmith/core'
import { Dataset } from '@tunesmith/datasets'
import { openSafetensors, readJsonFile } from '@tunesmith/hub'
import { loadModel } from '@tunesmith/models'
import { getPeftModel } from '@tunesmith/peft-lora'
import { Tokenizer } from '@tunesmith/tokenization'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DPOTrainer, type DPOTrainerOptions, KTOTrainer, type KTOTrainerOptions } from './index'

interface Recording {
  args: Record<string, unknown> & { max_length: number }
  rows: Record<string, unknown>[]
  eval_rows: Record<string, unknown>[]
  /** Whether the adapter had learned before. */
  trained: boolean
  steps: Record<string, number>[]
  eval: Record<string, number>
}

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))
const BASE = fileURLToPath(new URL('../../models/src/fixtures/llama', import.meta.url))
const recordings = await readJsonFile<Record<string, Recording>>(fixture('trainings.json'))
const LORA = { r: 4, loraAlpha: 8, targetModules: ['q_proj', 'v_proj', 'down_proj'] }

let output: string
let tokenizer: Tokenizer
let tensors: Awaited<ReturnType<typeof openSafetensors>>
beforeAll(async () => {
  await selectBackend()
  output = await mkdtemp(join(tmpdir(), 'tunesmith-preferences-'))
  tokenizer = await Tokenizer.fromPretrained(fixture('tokenizer'))
  tensors = await openSafetensors(fixture('trainings.safetensors'))
})
afterAll(async () => {
  await tensors.close()
  await rm(output, { recursive: true, force: true })
})

async function recorded(run: string, when: 'initial' | 'final', parameter: string): Promise<Float32Array> {
  const bytes = await tensors.read(`${run}.${when}.${parameter}`)
  return new Float32Array(bytes.slice().buffer)
}

async function putInitial(run: string, parameters: ReadonlyMap<string, tf.Variable>): Promise<void> {
  for (const [name, variable] of parameters) {
    const values = tf.tensor(await recorded(run, 'initial', name), variable.shape)
    variable.assign(values)
    values.dispose()
  }
}

async function trainerOf(run: string, outputDir: string, settings: object = {}) {
  const { args, rows, eval_rows, trained } = recordings[run]!
  const model = await loadModel(BASE)
  const peft = trained ? getPeftModel(model, LORA) : undefined
  if (peft) await putInitial(run, peft.parameters())
  const options = {
    ...(peft ? { model: peft } : { model, peftConfig: LORA }),
    tokenizer,
    trainDataset: Dataset.fromRows(rows),
    evalDataset: Dataset.fromRows(eval_rows),
    args: {
      ...renameKeys(args, camelCase),
      ...(run === 'orpo' ? { lossType: 'orpo' as const } : {}),
      outputDir,
      trainSamplingStrategy: 'sequential' as const,
      loggingSteps: 1,
      saveStrategy: 'no' as const,
      reportTo: [],
      ...settings,
    },
  }
  const trainer =
    run === 'kto' ? new KTOTrainer(options as KTOTrainerOptions) : new DPOTrainer(options as DPOTrainerOptions)
  if (!peft) await putInitial(run, trainer.parameters)
  return { trainer, model }
}

const OURS: Record<string, string> = {
  nll_loss: 'nllLoss',
  log_odds_ratio: 'logOddsRatio',
  log_odds_chosen: 'logOddsChosen',
}
/** The mean of all logits, which we do not make; and those that are compared on their own. */
const NOT_COMPARED = /^(eval_)?logits\/|^(loss|grad_norm|learning_rate|epoch|num_tokens|mean_token_accuracy|entropy)$/

const near = (ours: number, golden: number, within: number, where: string) =>
  expect(Math.abs(ours - golden) / Math.max(1, Math.abs(golden)), `${where}: ${ours}, not ${golden}`).toBeLessThan(
    within,
  )

describe.each(Object.keys(recordings))('thirty steps of TRL: %s', (run) => {
  it.each([true, false])('the same numbers at every step, the reference before training: %s', async (early) => {
    const recording = recordings[run]!
    const { trainer, model } = await trainerOf(run, join(output, `${run}-${early}`), { precomputeRefLogProbs: early })
    const { logs } = await trainer.train()
    expect(logs.length).toBe(30)
    for (const [i, log] of logs.entries()) {
      const golden = recording.steps[i]!
      const where = `step ${i + 1}`
      expect(Math.abs(log.loss / golden.loss! - 1), `loss of ${where}`).toBeLessThan(1e-4)
      expect(Math.abs(log.gradNorm / golden.grad_norm! - 1), `norm of ${where}`).toBeLessThan(1e-3)
      if (golden.num_tokens !== undefined) expect(log.numTokens, `tokens of ${where}`).toBe(golden.num_tokens)
      expect(log.epoch).toBeCloseTo(golden.epoch!, 12)
      expect(log.learningRate).toBeCloseTo(golden.learning_rate!, 12)
      if (golden.entropy !== undefined) near(log.entropy, golden.entropy, 1e-3, `entropy of ${where}`)
      if (golden.mean_token_accuracy !== undefined)
        near(log.meanTokenAccuracy, golden.mean_token_accuracy, 1e-3, `accuracy of ${where}`)
      for (const [key, value] of Object.entries(golden))
        if (!NOT_COMPARED.test(key)) near(log[OURS[key] ?? key]!, value, 1e-3, `${key} of ${where}`)
    }
    for (const [name, variable] of trainer.parameters) {
      const expected = await recorded(run, 'final', name)
      const values = variable.dataSync()
      const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - values[i]!)), 0)
      expect(worst, name).toBeLessThan(1e-3)
    }
    const evaluation = await trainer.evaluate()
    near(evaluation.evalLoss, recording.eval.eval_loss!, 1e-4, 'evaluation loss')
    for (const key of Object.keys(recording.eval).filter((key) => /rewards|logps|kl/.test(key)))
      near(evaluation[camelCase(key)]!, recording.eval[key]!, 1e-3, key)
    model.dispose()
  })
})

describe('a reference that was computed', () => {
  it('is kept beside the checkpoints and taken from there', async () => {
    const outputDir = join(output, 'kept')
    const first = await trainerOf('sigmoid', outputDir, { maxSteps: 3 })
    const { logs } = await first.trainer.train()
    const files = (await readdir(outputDir)).filter((name) => name.startsWith('reference-'))
    expect(files).toHaveLength(2)
    const second = await trainerOf('sigmoid', outputDir, { maxSteps: 3 })
    const again = await second.trainer.train()
    expect(again.logs.map(({ loss }) => loss)).toEqual(logs.map(({ loss }) => loss))
    expect((await readdir(outputDir)).filter((name) => name.startsWith('reference-'))).toEqual(files)
    first.model.dispose()
    second.model.dispose()
  })
})
