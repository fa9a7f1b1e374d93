import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend, valueAndGrads, withoutRecording } from '@tunesmith/backend'
import { collate } from '@tunesmith/datasets'
import { openSafetensors, readJsonFile } from '@tunesmith/hub'
import { labelLogProbs } from '@tunesmith/models'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DPOConfigOptions, dpoConfig, type KTOConfigOptions, ktoConfig, needsReference } from './config'
import { pairLoss } from './dpo-objective'
import { unpairedLoss } from './kto-objective'
import { type Answer, answerLabels } from './sequences'

interface Case {
  config: Record<string, unknown>
  loss: number
  metrics: Record<string, number>
}
interface Goldens {
  rows: { prompt_ids: number[]; chosen_ids: number[]; rejected_ids: number[] }[]
  cases: Record<string, Case>
}

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))
const goldens = await readJsonFile<Goldens>(fixture('losses.json'))
const PAIRS = goldens.rows.length
const VOCAB = 6

/** The recorded tensors: those of TRL's batch are first all chosen, then all rejected sides, padded to `width`. */
let tensors: Map<string, Float32Array>
let width: number
let variable: tf.Variable<tf.Rank.R2>

/** Our sequences are chosen, rejected, chosen... */
const theirs = (i: number) => (i % 2) * PAIRS + (i >> 1)

const answers: Answer[] = goldens.rows.flatMap(({ prompt_ids, chosen_ids, rejected_ids }, row) =>
  [chosen_ids, rejected_ids].map((answer) => {
    const inputIds = Int32Array.from([...prompt_ids, ...answer])
    const answerTokens = answer.length
    return { inputIds, answerTokens, row, labels: answerLabels({ inputIds, answerTokens }) }
  }),
)

/** Our packed tokens as rows of a recorded tensor `[sequences, width, vocab]`. */
function packed(values: Float32Array): Float32Array {
  const parts = answers.map(({ inputIds }, i) => {
    const start = theirs(i) * width * VOCAB
    return values.subarray(start, start + inputIds.length * VOCAB)
  })
  return Float32Array.from(parts.flatMap((part) => [...part]))
}

beforeAll(async () => {
  await selectBackend()
  const file = await openSafetensors(fixture('losses.safetensors'))
  tensors = new Map()
  for (const name of file.tensors.keys()) {
    const bytes = await file.read(name)
    tensors.set(name, new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4).slice())
  }
  width = file.tensors.get('logits')!.shape[1]!
  await file.close()
  const values = packed(tensors.get('logits')!)
  variable = tf.variable(tf.tensor2d(values, [values.length / VOCAB, VOCAB]))
  for (const [i, answer] of answers.entries()) answer.ref = tensors.get('refs')![i]!
})
afterAll(() => variable.dispose())

/** What a model would say whose logits are these. */
function valuesOf(logits: tf.Tensor2D, labels: Int32Array) {
  const known = tf.tensor1d(Float32Array.from(labels, (label) => (label < 0 ? 0 : 1)))
  const targets = tf.tensor1d(
    labels.map((label) => Math.max(0, label)),
    'int32',
  )
  const masked = (values: tf.Tensor) => tf.mul<tf.Tensor1D>(values, known)
  const logProbs = masked(labelLogProbs(logits, targets))
  return withoutRecording(() => {
    const all = tf.logSoftmax(logits)
    return {
      logProbs,
      entropy: masked(tf.neg(tf.sum(tf.mul(tf.exp(all), all), 1))),
      correct: masked(tf.cast(tf.equal(tf.argMax(logits, 1), targets), 'float32')),
      agreement: masked(tf.sub(tf.logSumExp(tf.mul(logits, 2), 1), tf.mul(tf.logSumExp(logits, 1), 2))),
    }
  })
}

/** TRL's names of metrics, and ours where they differ. */
const OURS: Record<string, string> = {
  mean_token_accuracy: 'meanTokenAccuracy',
  nll_loss: 'nllLoss',
  log_odds_ratio: 'logOddsRatio',
  log_odds_chosen: 'logOddsChosen',
}
/** The mean of the logits themselves asks for all of them, which are not made here. */
const NOT_HERE = /^logits\/|^num_tokens$/

describe('every loss of TRL on 64 pairs', () => {
  it.each(Object.entries(goldens.cases))('%s: the same value, gradient and metrics', (name, golden) => {
    const kto = 'desirableWeight' in golden.config
    const whole = [golden.config.lossType].flat().includes('orpo')
    const labelled = answers.map((answer, i) =>
      whole && i % 2 === 0 ? { ...answer, labels: Int32Array.from(answer.inputIds) } : answer,
    )
    const batch = collate(labelled)
    const compute = () => {
      const values = valuesOf(variable, batch.labels)
      if (kto) {
        const config = ktoConfig({ outputDir: '', ...golden.config } as KTOConfigOptions)
        const rows = labelled.map((answer, i) => ({ ...answer, desirable: i % 2 === 0 }))
        return unpairedLoss(batch, rows, values, golden.metrics.kl!, config)
      }
      return pairLoss(batch, labelled, values, dpoConfig({ outputDir: '', ...golden.config } as DPOConfigOptions))
    }
    let totals: Record<string, tf.Scalar> = {}
    const { value, kept, grads } = valueAndGrads(
      (keep) => {
        const computed = compute()
        totals = computed.totals
        for (const total of Object.values(totals)) keep(total)
        return computed.loss
      },
      [variable],
    )
    const close = (ours: number, golden: number, what: string) =>
      expect(Math.abs(ours - golden) / Math.max(1, Math.abs(golden)), `${what}: ${ours}, not ${golden}`).toBeLessThan(
        1e-5,
      )
    close(value.dataSync()[0]!, golden.loss, 'loss')

    const made = new Map(Object.keys(totals).map((key, i) => [key, kept[i]!.dataSync()[0]!]))
    // TRL says 0 where no loss asks for the likelihood.
    for (const [key, golden_] of Object.entries(golden.metrics))
      if (!NOT_HERE.test(key) && !(key === 'nll_loss' && golden_ === 0))
        close(made.get(OURS[key] ?? key)!, golden_, key)

    const gradient = grads[0]!.dataSync()
    const direction = packed(tensors.get('direction')!)
    let at = 0
    for (const [i, { inputIds }] of answers.entries()) {
      let product = 0
      for (const end = at + inputIds.length * VOCAB; at < end; at++) product += gradient[at]! * direction[at]!
      const expected = tensors.get(`${name}.gradient`)!
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      expect(Math.abs(product - expected[theirs(i)]!) / largest, `gradient of sequence ${i}`).toBeLessThan(1e-5)
    }
    tf.dispose([value, ...kept, ...grads])
  })

  it('the gradients are far from zero, so that the comparison says something', () => {
    for (const name of Object.keys(goldens.cases)) {
      const gradient = tensors.get(`${name}.gradient`)!
      expect(
        gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
        name,
      ).toBeGreaterThan(1e-4)
    }
  })
})

describe('a reference', () => {
  it('is asked by all losses but orpo, simpo and cpo', () => {
    expect(needsReference({ lossType: 'sft' })).toBe(true)
    expect(needsReference({ lossType: ['simpo', 'sft'] })).toBe(false)
    expect(needsReference({ lossType: ['orpo', 'sigmoid'] })).toBe(true)
  })
})
