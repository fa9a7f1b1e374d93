import * as tf from '@tensorflow/tfjs-core'
import { Random } from '@tunesmith/core'
import type { ModelConfig } from '@tunesmith/models'

/** Standard deviation of the embeddings, larger than usual: a token must be recognised across the layers. */
const EMBEDDING = 0.12
/** What every embedding has in feature 0: something that is the same everywhere, for attention by position alone. */
const CONSTANT = 0.4
const SMALL = 0.02

/**
 * Lays out the beginning of an induction circuit (Olsson et al. 2022, "In-context Learning and Induction Heads"), so that
 * copying from the context, which a small model finds only after many million tokens, is there to be refined from the
 * first step; everything else is random.
 *
 * Features 1 to `headDim` of the residual stream are left for "the token before this one". Head 0 of layer 0 attends one
 * token back and writes it there; head 0 of layers 1 and 2 looks for places where that equals the current token, and
 * hands on what stands there. The learned weights are free to leave this arrangement.
 */
export function initializeInduction(parameters: ReadonlyMap<string, tf.Variable>, config: ModelConfig, seed: number) {
  const { hiddenSize, headDim, numHiddenLayers, rope } = config
  const random = new Random(seed, 'induction')
  const free = 1 + headDim // features from here on say which token it is
  const change = (name: string, write: (values: Float32Array, columns: number) => void) => {
    const variable = parameters.get(`${name}.weight`)!
    const values = variable.dataSync().slice() as Float32Array
    write(values, variable.shape[1]!)
    tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)))
  }
  const randomRows = () =>
    Array.from({ length: headDim }, () =>
      Float32Array.from({ length: hiddenSize }, (_, f) =>
        f < free ? 0 : random.normal() / Math.sqrt(hiddenSize - free),
      ),
    )
  const half = headDim / 2
  const frequency = (pair: number) => rope.theta ** (-pair / half)
  /** Pairs that turn so slowly that they compare content and not position. */
  const slow = Array.from({ length: headDim }, (_, d) => d).filter((d) => frequency(d % half) < 0.06)
  const tokenReader = randomRows()

  change('model.embed_tokens', (values) => {
    for (let i = 0; i < values.length; i++) {
      const feature = i % hiddenSize
      values[i] = feature === 0 ? CONSTANT : (feature < free ? SMALL : EMBEDDING) * random.normal()
    }
  })

  for (let layer = 0; layer < numHiddenLayers; layer++) {
    const prefix = `model.layers.${layer}`
    const shrink = (values: Float32Array) => values.set(values.map((value) => value / Math.sqrt(2 * numHiddenLayers)))
    change(`${prefix}.mlp.down_proj`, shrink)
    change(`${prefix}.self_attn.o_proj`, shrink)
    if (layer > 2) continue
    const attention = (name: string, write: (values: Float32Array, columns: number) => void) =>
      change(`${prefix}.self_attn.${name}`, write)
    const valueReader = layer === 0 ? tokenReader : randomRows()
    attention('v_proj', (values) => {
      for (const [d, row] of valueReader.entries()) values.set(row, d * hiddenSize)
    })
    if (layer === 0) {
      // Key and query are constant vectors; the key is turned on by one position, so they meet one token back.
      attention('q_proj', (values) => {
        for (let pair = 0; pair < half; pair++) values[pair * hiddenSize] = 2
      })
      attention('k_proj', (values) => {
        for (let pair = 0; pair < half; pair++) {
          values[pair * hiddenSize] = 2 * Math.cos(frequency(pair))
          values[(pair + half) * hiddenSize] = 2 * Math.sin(frequency(pair))
        }
      })
      attention('o_proj', (values, columns) => {
        for (let d = 0; d < headDim; d++) values[(1 + d) * columns + d] = EMBEDDING
      })
    } else {
      attention('q_proj', (values) => {
        for (const d of slow)
          for (let f = free; f < hiddenSize; f++) values[d * hiddenSize + f] = 1.2 * tokenReader[d]![f]!
      })
      attention('k_proj', (values) => {
        for (const d of slow) values[d * hiddenSize + 1 + d] = 1.2
      })
      attention('o_proj', (values, columns) => {
        for (let d = 0; d < headDim; d++)
          for (let f = free; f < hiddenSize; f++) values[f * columns + d] = 0.5 * valueReader[d]![f]!
      })
    }
  }
}
