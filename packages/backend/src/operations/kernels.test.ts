import * as tf from '@tensorflow/tfjs-core'
import { Random } from '@tunesmith/core'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  causalAttention,
  denseWeight,
  dropout,
  dropoutMask,
  embeddingLookup,
  linear,
  linearCrossEntropy,
  loraLinear,
  packedWeight,
  residualAdd,
  rmsNorm,
  rotaryEmbedding,
  rotaryTables,
  selectBackend,
  swiglu,
  tokenLogProbs,
  valueAndGrads,
  type WeightMatrix,
  weightAttrs,
} from '../index'
import { unpackRows } from '../portable/unpack'
import { testedBackends } from '../testing/backends'
import { checkOperation, type Differentiable, relativeError } from '../testing/check-gradients'
import type { Numbers } from '../testing/reference'
import * as reference from '../testing/reference'

type Matrix = tf.Tensor2D & tf.Variable

function normals(random: Random, ...shape: number[]): Differentiable {
  const size = shape.reduce((a, b) => a * b, 1)
  return { shape, values: Float32Array.from({ length: size }, () => random.normal()) }
}

/** Runs a property with different seeds; a failure names its seed. */
function property(name: string, check: (random: Random) => void, seeds = 6) {
  it(name, () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const before = tf.memory().numTensors
      try {
        tf.tidy(() => check(new Random(seed, name)))
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
      }
      expect(tf.memory().numTensors, 'tensors left behind').toBe(before)
    }
  })
}

/** Lengths of some sequences that together have `tokens`. */
function boundaries(random: Random, tokens: number): number[] {
  const cuts = [0]
  while (cuts.at(-1)! < tokens) cuts.push(Math.min(tokens, cuts.at(-1)! + 1 + random.int(tokens)))
  return cuts
}

for (const backend of testedBackends)
  describe(`kernels on ${backend}`, () => {
    beforeAll(async () => {
      expect((await selectBackend({ backend })).name).toBe(backend)
    })

    property('residualAdd, which keeps neither input', (random) => {
      const shape = [random.pick([1, 3]), random.pick([1, 5])] as const
      checkOperation(
        [normals(random, ...shape), normals(random, ...shape)],
        (x, y) => residualAdd(x as Matrix, y as Matrix),
        (x, y) => Array.from(x, (value, i) => value + y[i]!),
        `[${shape}]`,
      )
      expect(() => residualAdd(tf.zeros([1, 2]), tf.zeros([2, 2]))).toThrow(/shapes differ/)
    })

    property('rmsNorm', (random) => {
      const [tokens, hidden] = [random.pick([1, 2, 7]), random.pick([2, 5, 33])]
      const attrs = { eps: 1e-5, offset: random.int(2) }
      checkOperation(
        [normals(random, tokens, hidden), normals(random, hidden)],
        (x, weight) => rmsNorm(x as Matrix, weight as tf.Tensor1D & tf.Variable, attrs),
        (x, weight) => reference.rmsNorm(x, weight, tokens, attrs.eps, attrs.offset),
        `[${tokens}, ${hidden}]`,
      )
    })

    property('rotaryEmbedding, whole and partial', (random) => {
      const [tokens, heads, headDim] = [random.pick([1, 6]), random.pick([1, 3]), random.pick([2, 8])]
      const half = headDim > 2 && random.int(2) ? headDim / 4 : headDim / 2
      const positions = Array.from({ length: tokens }, () => random.int(500))
      const frequencies = Float32Array.from({ length: half }, (_, i) => 100 ** (-i / half))
      const tables = rotaryTables(positions, frequencies)
      const shape: [number, number] = [tokens, half]
      checkOperation(
        [normals(random, tokens, heads * headDim)],
        (x) =>
          rotaryEmbedding(x as Matrix, tf.tensor2d(tables.cos, shape), tf.tensor2d(tables.sin, shape), {
            headDim,
            rotaryDim: 2 * half,
          }),
        (x) => reference.rotary(x, positions, frequencies, headDim),
        `${heads} heads of ${headDim}, ${2 * half} rotated`,
      )
    })

    property('causalAttention: groups, windows, caps, several sequences', (random) => {
      const [tokens, numKvHeads, headDim] = [random.pick([1, 5, 9]), random.pick([1, 2]), random.pick([1, 4])]
      const numHeads = numKvHeads * random.pick([1, 3])
      const cuSeqlens = boundaries(random, tokens)
      const attrs = {
        numHeads,
        numKvHeads,
        headDim,
        scale: headDim ** -0.5,
        slidingWindow: random.pick([0, 0, 3]),
        softcap: random.pick([0, 0, 2]),
      }
      checkOperation(
        [
          normals(random, tokens, numHeads * headDim),
          normals(random, tokens, numKvHeads * headDim),
          normals(random, tokens, numKvHeads * headDim),
        ],
        (q, k, v) => causalAttention(q as Matrix, k as Matrix, v as Matrix, tf.tensor1d(cuSeqlens, 'int32'), attrs),
        (q, k, v) => reference.attention(q, k, v, { ...attrs, cuSeqlens }),
        JSON.stringify({ ...attrs, cuSeqlens }),
      )
    })

    it('causalAttention over more queries than one chunk, and keys in a cache', () => {
      const random = new Random(5)
      const attrs = { numHeads: 2, numKvHeads: 1, headDim: 4, scale: 0.5, slidingWindow: 0, softcap: 0 }
      const tokens = 300
      const [q, k, v] = [normals(random, tokens, 8), normals(random, tokens, 4), normals(random, tokens, 4)]
      const want = reference.attention(q.values, k.values, v.values, { ...attrs, cuSeqlens: [0, 280, 300] })
      tf.tidy(() => {
        const tensor = ({ values, shape }: Differentiable) => tf.tensor2d(values, shape as [number, number])
        const all = causalAttention(tensor(q), tensor(k), tensor(v), tf.tensor1d([0, 280, 300], 'int32'), attrs)
        expect(relativeError(all.dataSync(), want)).toBeLessThan(1e-5)
        // The last three queries of the first sequence and the last of the second, keys where they lie.
        const rows = [277, 278, 279, 299]
        const some = causalAttention(
          tf.gather(tensor(q), tf.tensor1d(rows, 'int32')),
          tensor(k),
          tensor(v),
          tf.tensor1d([0, 3, 4], 'int32'),
          attrs,
          { kvStart: tf.tensor1d([0, 280], 'int32'), kvLength: tf.tensor1d([280, 20], 'int32') },
        )
        expect(
          relativeError(
            some.dataSync(),
            rows.flatMap((row) => want.slice(row * 8, row * 8 + 8)),
          ),
        ).toBeLessThan(1e-5)
      })
    })

    property('swiglu', (random) => {
      const [tokens, width] = [random.pick([1, 4]), random.pick([1, 9])]
      const activation = random.pick(['silu', 'gelu_tanh'] as const)
      checkOperation(
        [normals(random, tokens, width), normals(random, tokens, width)],
        (gate, up) => swiglu(gate as Matrix, up as Matrix, { activation }),
        (gate, up) => reference.swiglu(gate, up, activation),
        activation,
      )
    })

    property('dropout', (random) => {
      const [tokens, width, seed] = [random.pick([1, 4]), random.pick([1, 9]), random.int(100)]
      const rate = random.pick([0, 0.25, 0.9])
      const mask = dropoutMask(tokens * width, rate, seed)
      checkOperation(
        [normals(random, tokens, width)],
        (x) => dropout(x as Matrix, { rate, seed }),
        (x) => Float64Array.from(x, (value, i) => value * mask[i]!),
        `rate ${rate}`,
      )
    })

    property('linear with everything trained', (random) => {
      const [tokens, inFeatures, outFeatures] = [random.pick([1, 5]), random.pick([1, 7]), random.pick([1, 6])]
      checkOperation(
        [normals(random, tokens, inFeatures), normals(random, outFeatures, inFeatures), normals(random, outFeatures)],
        (x, w, bias) => linear(x as Matrix, denseWeight(w as Matrix), bias as tf.Tensor1D & tf.Variable),
        (x, w, bias) =>
          reference.timesTransposed(x, w, tokens, outFeatures, inFeatures).map((y, i) => y + bias[i % outFeatures]!),
        `${tokens} x ${inFeatures} x ${outFeatures}`,
      )
    })

    property(
      'linear, lora and embeddings over packed weights',
      (random) => {
        const [tokens, inFeatures, outFeatures, r] = [3, random.pick([5, 8]), random.pick([3, 6]), 2]
        const packed = randomPacked(random, outFeatures, inFeatures)
        const dense = unpacked(packed)
        checkOperation(
          [normals(random, tokens, inFeatures)],
          (x) => linear(x as Matrix, packed),
          (x) => reference.timesTransposed(x, dense, tokens, outFeatures, inFeatures),
          packed.format,
        )
        const shape = {
          tokens,
          inFeatures,
          outFeatures,
          r,
          scaling: 1.5,
          dropout: random.pick([0, 0.4]),
          seed: random.int(1e6),
        }
        checkOperation(
          [normals(random, tokens, inFeatures), normals(random, r, inFeatures), normals(random, outFeatures, r)],
          (x, a, b) => loraLinear(x as Matrix, packed, a as Matrix, b as Matrix, shape),
          (x, a, b) => reference.loraLinear(x, dense, a, b, shape),
          `lora on ${packed.format}, dropout ${shape.dropout}`,
        )
        const ids = Array.from({ length: 4 }, () => random.int(outFeatures))
        const rows = embeddingLookup(packed, tf.tensor1d(ids, 'int32')).dataSync()
        expect(Array.from(rows)).toEqual(
          ids.flatMap((id) => Array.from(dense.slice(id * inFeatures, (id + 1) * inFeatures))),
        )
      },
      10,
    )

    property('embeddingLookup, trained, with repeated ids', (random) => {
      const ids = [2, 0, 2, 2]
      checkOperation(
        [normals(random, 5, 3)],
        (w) => embeddingLookup(denseWeight(w as Matrix), tf.tensor1d(ids, 'int32')),
        (w) => ids.flatMap((id) => Array.from({ length: 3 }, (_, i) => w[id * 3 + i]!)),
        'ids',
      )
    })

    property(
      'linearCrossEntropy',
      (random) => {
        const c = {
          tokens: random.pick([1, 4, 140]),
          vocab: random.pick([2, 11]),
          hidden: random.pick([1, 4]),
          softcap: random.pick([0, 3]),
        }
        const labels = Array.from({ length: c.tokens }, () => (random.int(4) ? random.int(c.vocab) : -100))
        const tensor = tf.tensor1d(labels, 'int32')
        checkOperation(
          [normals(random, c.tokens, c.hidden), normals(random, c.vocab, c.hidden)],
          (x, w) => linearCrossEntropy(x as Matrix, denseWeight(w as Matrix), tensor, c).loss,
          (x, w) => [reference.crossEntropy(x, w, labels, c)],
          JSON.stringify(c),
        )
      },
      12,
    )

    it('tokenLogProbs, and the statistics of linearCrossEntropy, and a batch without labels', () => {
      const random = new Random(3)
      const c = { tokens: 5, vocab: 7, hidden: 3, softcap: 0 }
      const [x, w] = [normals(random, 5, 3), normals(random, 7, 3)]
      const labels = [3, -100, 0, 6, 2]
      const each = (x: Numbers, softcap = 0) =>
        labels.map((_, t) =>
          reference.crossEntropy(
            x,
            w.values,
            labels.map((label, i) => (i === t ? label : -100)),
            { ...c, softcap },
          ),
        )
      const single = each(x.values)
      for (const softcap of [0, 3])
        checkOperation(
          [x],
          (x) => {
            const weight = denseWeight(tf.tensor2d(w.values, [7, 3]))
            return tokenLogProbs(x as Matrix, weight, tf.tensor1d(labels, 'int32'), { softcap }).logProbs
          },
          (x) => each(x, softcap).map((nll) => 0 - nll),
          `tokenLogProbs, softcap ${softcap}`,
        )
      tf.tidy(() => {
        const trained = denseWeight(tf.variable(tf.tensor2d(w.values, [7, 3])))
        const labelTensor = tf.tensor1d(labels, 'int32')
        const hidden = tf.tensor2d(x.values, [5, 3])
        const loss = () => tf.sum(tokenLogProbs(hidden, trained, labelTensor).logProbs) as tf.Scalar
        expect(() => valueAndGrads(loss, [hidden])).toThrow(
          /no gradient for the weight of the head.*CausalLM.tokenLogProbs/,
        )
        trained.weight.dispose()
      })
      tf.tidy(() => {
        const weight = denseWeight(tf.tensor2d(w.values, [7, 3]))
        const hidden = tf.tensor2d(x.values, [5, 3])
        const { nll, entropy, correct } = linearCrossEntropy(hidden, weight, tf.tensor1d(labels, 'int32'))
        expect(relativeError(nll.dataSync(), single)).toBeLessThan(1e-5)
        const logits = reference.timesTransposed(x.values, w.values, 5, 7, 3)
        labels.forEach((label, t) => {
          const row = logits.slice(t * 7, t * 7 + 7)
          const total = row.reduce((sum, z) => sum + Math.exp(z), 0)
          const p = row.map((z) => Math.exp(z) / total)
          const want = label < 0 ? 0 : -p.reduce((sum, value) => sum + value * Math.log(value), 0)
          expect(entropy.dataSync()[t]).toBeCloseTo(want, 4)
          expect(correct.dataSync()[t]).toBe(row.indexOf(Math.max(...row)) === label ? 1 : 0)
        })
        const none = linearCrossEntropy(hidden, weight, tf.tensor1d([-100, -100, -100, -100, -100], 'int32'))
        expect(none.loss.dataSync()[0]).toBe(0)
        expect(Array.from(none.nll.dataSync())).toEqual([0, 0, 0, 0, 0])
      })
    })
  })

/** Random bits as a weight of a random packed format; halves without infinities and NaN. */
function randomPacked(random: Random, outFeatures: number, inFeatures: number): WeightMatrix {
  const elements = outFeatures * inFeatures
  const format = random.pick(['bf16', 'f16', 'nf4', 'fp4', 'int8'] as const)
  if (format === 'bf16' || format === 'f16') {
    // Exponents around one: between 1/8 and 2 in either format.
    const half = () =>
      (random.int(2) << 15) |
      (format === 'bf16' ? (124 + random.int(4)) << 7 : (12 + random.int(4)) << 10) |
      random.int(128)
    const bytes = new Uint8Array(Uint16Array.from({ length: elements }, half).buffer)
    return packedWeight({ format, outFeatures, inFeatures, bytes })
  }
  if (format === 'int8') {
    const bytes = Uint8Array.from({ length: elements }, () => random.int(256))
    const scale = Float32Array.from({ length: outFeatures }, () => 0.01 + random.uniform() / 50)
    return packedWeight({ format, outFeatures, inFeatures, bytes, scale })
  }
  const bytes = Uint8Array.from({ length: Math.ceil(elements / 2) }, () => random.int(256))
  const blockSize = 4
  const absmax = Float32Array.from({ length: Math.ceil(elements / blockSize) }, () => 0.5 + random.uniform())
  const code = Float32Array.from({ length: 16 }, (_, i) => (i - 8) / 8)
  const roundTo = random.pick(['none', 'bf16', 'f16'] as const)
  return packedWeight({ format, outFeatures, inFeatures, blockSize, roundTo, bytes, absmax, code })
}

function unpacked(matrix: WeightMatrix): Float32Array {
  const { weight, absmax, code, scale, outFeatures } = matrix
  return unpackRows(
    {
      weight: weight.dataSync() as Int32Array,
      absmax: absmax?.dataSync() as Float32Array,
      code: code?.dataSync() as Float32Array,
      scale: scale?.dataSync() as Float32Array,
    },
    0,
    outFeatures,
    weightAttrs(matrix),
  )
}
