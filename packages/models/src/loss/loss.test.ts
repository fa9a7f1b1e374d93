import * as tf from '@tensorflow/tfjs-core'
import { denseWeight, linear, selectBackend, tokenLogProbs, valueAndGrads } from '@tunesmith/backend'
import { relativeError } from '@tunesmith/backend/testing/check-gradients'
import { Random } from '@tunesmith/core'
import { beforeAll, describe, expect, it } from 'vitest'
import { type ComputeLoss, dft, labelLogProbs, labelSmoothing, nll, type TokenLoss } from '../index'
import { type Head, headLogProbs, headLoss } from './head-loss'

const [TOKENS, HIDDEN, VOCAB] = [330, 6, 11]
const random = new Random(4)
const normals = (rows: number, columns: number) =>
  tf.tensor2d(
    Float32Array.from({ length: rows * columns }, () => random.normal()),
    [rows, columns],
  )

// More labelled rows than a chunk has.
const labels = Array.from({ length: TOKENS }, (_, t) => (t % 11 === 3 ? -100 : random.int(VOCAB)))
const labelled = labels.flatMap((label, t) => (label < 0 ? [] : [t]))

/** The focal loss (Lin et al. 2017) with gamma 2. */
const focal: ComputeLoss = (logits, labels) => {
  const logProbs = labelLogProbs(logits, labels)
  return tf.mul(tf.neg(logProbs), tf.square(tf.sub(1, tf.exp(logProbs))))
}
/** All on whole logits, from their definitions. */
const DEFINITIONS: Record<string, { loss: TokenLoss; ofLogits: ComputeLoss }> = {
  nll: { loss: nll, ofLogits: (logits, labels) => tf.neg(labelLogProbs(logits, labels)) },
  'nll as computeLoss': {
    loss: { ofLogits: (logits, labels) => tf.neg(labelLogProbs(logits, labels)) },
    ofLogits: (logits, labels) => tf.neg(labelLogProbs(logits, labels)),
  },
  focal: { loss: { ofLogits: focal }, ofLogits: focal },
  dft: {
    loss: dft,
    ofLogits(logits, labels) {
      const logProbs = labelLogProbs(logits, labels)
      // Its gradient is that of nll with constant weights.
      return tf.mul(tf.neg(logProbs), tf.tensor1d(tf.exp(logProbs).dataSync() as Float32Array))
    },
  },
  'label smoothing': {
    loss: labelSmoothing(0.1),
    ofLogits(logits, labels) {
      const target = tf.add(tf.mul(tf.oneHot(labels, VOCAB), 0.9), 0.1 / VOCAB)
      return tf.neg(tf.sum<tf.Tensor1D>(tf.mul(target, tf.logSoftmax(logits)), 1))
    },
  },
}

describe.each(['cpu', 'native'] as const)('losses on %s', (backend) => {
  let [hidden, weight, a, b] = [] as unknown as [tf.Tensor2D, tf.Variable, tf.Variable, tf.Variable]
  beforeAll(async () => {
    expect((await selectBackend({ backend })).name).toBe(backend)
    hidden = normals(TOKENS, HIDDEN)
    ;[weight, a, b] = [normals(VOCAB, HIDDEN), normals(HIDDEN, 2), normals(2, VOCAB)].map((value) => tf.variable(value))
  })

  const capped = (x: tf.Tensor2D) => tf.mul(tf.tanh(tf.div(x, 3)), 3) as tf.Tensor2D
  const heads: Record<string, () => Head> = {
    frozen() {
      const frozen = denseWeight(tf.clone(weight) as tf.Tensor2D)
      return { logits: (x) => capped(linear(x, frozen)), parameters: [], weight: frozen, softcap: 3 }
    },
    trainable() {
      const trained = denseWeight(weight as unknown as tf.Tensor2D)
      return { logits: (x) => linear(x, trained), parameters: [weight], weight: trained, softcap: 0 }
    },
    adapted() {
      const frozen = denseWeight(tf.clone(weight) as tf.Tensor2D)
      const logits = (x: tf.Tensor2D) =>
        tf.add(linear(x, frozen), tf.matMul(tf.matMul(x, a as unknown as tf.Tensor2D), b as unknown as tf.Tensor2D))
      return { logits: (x) => capped(logits(x) as tf.Tensor2D), parameters: [a, b], weight: undefined, softcap: 3 }
    },
  }

  for (const [kind, makeHead] of Object.entries(heads))
    for (const [name, { loss, ofLogits }] of Object.entries(DEFINITIONS))
      it(`${name} with a ${kind} head: value, statistics and gradients of whole logits`, () => {
        const before = tf.memory().numTensors
        tf.tidy(() => {
          const head = makeHead()
          const xs = [hidden, ...head.parameters]
          const ours = valueAndGrads((keep) => {
            const { loss: total, ...statistics } = headLoss(head, hidden, labels, loss)
            keep(statistics.nll, statistics.entropy, statistics.correct)
            return total
          }, xs)
          const rows = () => head.logits(tf.gather(hidden, tf.tensor1d(labelled, 'int32')))
          const targets = tf.tensor1d(
            labelled.map((t) => labels[t]!),
            'int32',
          )
          const whole = valueAndGrads(() => tf.sum(ofLogits(rows(), targets)), xs)
          expect(relativeError(ours.value.dataSync(), whole.value.dataSync())).toBeLessThan(1e-5)
          for (const [i, grad] of ours.grads.entries())
            expect(relativeError(grad.dataSync(), whole.grads[i]!.dataSync()), `gradient ${i}`).toBeLessThan(5e-5)

          const logProbs = tf.logSoftmax(rows())
          const wholeStatistics = [
            tf.neg(labelLogProbs(rows(), targets)),
            tf.neg(tf.sum(tf.mul(tf.exp(logProbs), logProbs), 1)),
            tf.equal(tf.argMax(logProbs, 1), targets),
          ]
          for (const [i, want] of wholeStatistics.entries()) {
            const got = ours.kept[i]!.dataSync()
            expect(
              relativeError(
                labelled.map((t) => got[t]!),
                want.dataSync(),
              ),
            ).toBeLessThan(2e-5)
            expect(labels.every((label, t) => label >= 0 || got[t] === 0)).toBe(true)
          }
          // Evaluation, where nothing is recorded.
          const { loss: plain } = headLoss(head, hidden, labels, loss)
          expect(relativeError(plain.dataSync(), whole.value.dataSync())).toBeLessThan(1e-5)
        })
        expect(tf.memory().numTensors).toBe(before)
      })

  it.each(Object.entries(heads))('log-probabilities with a %s head: sums over sequences', (_, makeHead) => {
    tf.tidy(() => {
      const head = makeHead()
      const xs = [hidden, ...head.parameters]
      // A preference loss in small: two sequences against each other.
      const middle = 150
      const preference = (logProbs: tf.Tensor1D) => {
        const [chosen, rejected] = tf.split(logProbs, [middle, TOKENS - middle]).map((part) => tf.sum(part))
        return tf.softplus(tf.mul(0.05, tf.sub(rejected!, chosen!))) as tf.Scalar
      }
      const ours = valueAndGrads(() => preference(headLogProbs(head, hidden, labels).logProbs), xs)
      const whole = valueAndGrads(() => {
        const all = tf.tensor1d(
          labels.map((label) => Math.max(0, label)),
          'int32',
        )
        const mask = tf.tensor1d(labels.map((label) => (label < 0 ? 0 : 1)))
        return preference(tf.mul(labelLogProbs(head.logits(hidden), all), mask))
      }, xs)
      expect(relativeError(ours.value.dataSync(), whole.value.dataSync())).toBeLessThan(2e-5)
      for (const [i, grad] of ours.grads.entries())
        expect(relativeError(grad.dataSync(), whole.grads[i]!.dataSync()), `gradient ${i}`).toBeLessThan(5e-5)
    })
  })

  it('no labels: a loss of 0 and gradients of zeros', () => {
    tf.tidy(() => {
      for (const makeHead of Object.values(heads))
        for (const { loss } of Object.values(DEFINITIONS)) {
          const head = makeHead()
          const none = new Array(TOKENS).fill(-100)
          const made = valueAndGrads(() => headLoss(head, hidden, none, loss).loss, [hidden, ...head.parameters])
          expect(made.value.dataSync()[0]).toBe(0)
          for (const grad of made.grads) expect(grad.dataSync().every((value) => value === 0)).toBe(true)
        }
      const frozen = denseWeight(tf.clone(weight) as tf.Tensor2D)
      expect(tokenLogProbs(hidden, frozen, tf.fill([TOKENS], -100, 'int32')).logProbs.dataSync()).toEqual(
        new Float32Array(TOKENS),
      )
    })
  })

  it('refuses what computeLoss must not return, and labels outside the vocabulary', () => {
    const before = tf.memory().numTensors
    const returning = (computeLoss: unknown, some: ArrayLike<number> = labels) => {
      const loss: TokenLoss = { ofLogits: computeLoss as ComputeLoss }
      return () => tf.tidy(() => void valueAndGrads(() => headLoss(heads.frozen!(), hidden, some, loss).loss, [hidden]))
    }
    expect(returning((logits: tf.Tensor2D, labels: tf.Tensor1D) => tf.mean(focal(logits, labels)))).toThrow(
      /computeLoss returned a float32 tensor of shape \[\], not one float32 loss for each of 256 rows.*Return a tensor of shape \[rows\]/,
    )
    expect(returning((logits: tf.Tensor2D) => logits)).toThrow(/shape \[256,11\]/)
    expect(returning(() => 3)).toThrow(/computeLoss returned 3/)
    expect(returning((_: tf.Tensor2D, labels: tf.Tensor1D) => labels)).toThrow(/an? int32 tensor/)
    expect(returning(focal, new Array(TOKENS).fill(VOCAB))).toThrow(/label 11 .*vocabulary of 11/)
    expect(tf.memory().numTensors).toBe(before)
  })

  it('smooths nll and dft, and refuses another base rather than leaving it out', () => {
    expect(() => labelSmoothing(0.1, { ofLogProbs: (logProbs) => logProbs })).toThrow(/nll and dft only/)
  })
})
