import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend, valueAndGrads } from '@tunesmith/backend'
import { beforeAll, describe, expect, it } from 'vitest'
import { type ForwardOptions, loadModel, makeTrainable, packSequences } from './index'
import { sharedRows } from './shared-prefixes'
import { FAMILIES } from './testing/families'
import { largestDifference } from './testing/golden-tensors'

const fixtures = fileURLToPath(new URL('./fixtures', import.meta.url))

beforeAll(async () => {
  await selectBackend()
})

const PROMPT = [3, 9, 27, 20, 60, 5, 15]
/** Two answers, the first of them again, a prompt alone, and another sequence. */
const SEQUENCES = [[...PROMPT, 7, 8, 9], [...PROMPT, 7, 30], [...PROMPT, 7, 30], PROMPT, [40, 9, 27, 20]]

describe('which rows are computed', () => {
  it('each token has the row of the first one that has all the same tokens before it', () => {
    const input = packSequences(SEQUENCES)
    const { rowOf, tokenOf } = sharedRows(input)!
    const prompt = [0, 1, 2, 3, 4, 5, 6]
    const tail = [11, 12, 13, 14]
    expect([...rowOf]).toEqual([...prompt, 7, 8, 9, ...prompt, 7, 10, ...prompt, 7, 10, ...prompt, ...tail])
    expect([...tokenOf].map((t) => rowOf[t])).toEqual([...tokenOf.keys()])
    expect(tokenOf.every((t, row) => rowOf.indexOf(row) === t)).toBe(true)
  })

  it('none are shared where that saves less than a tenth', () => {
    const long = Array.from({ length: 40 }, (_, i) => i)
    expect(
      sharedRows(
        packSequences([
          [1, ...long],
          [2, ...long],
        ]),
      ),
    ).toBeUndefined()
    expect(
      sharedRows(
        packSequences([
          [1, 2, 3, ...long],
          [1, 2, 3, 50, ...long],
        ]),
      ),
    ).toBeUndefined()
    expect(sharedRows(packSequences([long]))).toBeUndefined()
  })
})

describe.each(FAMILIES.flatMap((family) => family.fixtures))('%s', (name) => {
  it.each([false, true])(
    'shared prefixes give the same log-probabilities and gradients, checkpointing %s',
    async (c) => {
      const model = await loadModel(join(fixtures, name), { dtype: 'float32' })
      const parameters = [...makeTrainable(model).values()]
      const input = packSequences(SEQUENCES)
      const labels = Array.from(input.inputIds, (_, t) => (input.positions[t + 1] ? input.inputIds[t + 1]! : -100))
      const weights = labels.map((_, t) => Math.sin(t) + 1.5)
      const run = (options: ForwardOptions) =>
        tf.tidy(() =>
          valueAndGrads(
            () => tf.sum(tf.mul(model.tokenLogProbs(input, labels, options).logProbs, tf.tensor1d(weights))),
            parameters,
          ),
        )
      const before = tf.memory().numTensors
      const want = run({ gradientCheckpointing: c })
      const got = run({ gradientCheckpointing: c, sharePrefixes: true })
      expect(Math.abs(got.value.dataSync()[0]! / want.value.dataSync()[0]! - 1)).toBeLessThan(1e-5)
      for (const [i, grad] of got.grads.entries()) {
        const [ours, whole] = [grad.dataSync(), want.grads[i]!.dataSync()] as Float32Array[]
        const largest = whole!.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3)
        expect(largestDifference(ours!, whole!) / largest, parameters[i]!.name).toBeLessThan(5e-5)
      }
      tf.dispose([want.value, got.value, ...want.grads, ...got.grads])
      expect(tf.memory().numTensors).toBe(before)
      model.dispose()
    },
  )
})
