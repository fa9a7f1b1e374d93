import * as tf from '@tensorflow/tfjs-core'
import { denseWeight, dequantize, embeddingLookup, type WeightMatrix, withoutRecording } from '@tunesmith/backend'
import { invalidOptions } from '@tunesmith/core'
import type { CausalLM } from '@tunesmith/models'
import type { AdaptableModule, AdapterConfig, AdapterLayer } from './adapter'
import { matchesModule } from './target-modules'

const KEY = 'token_adapter.trainable_tokens_delta'

/**
 * Layers that train single rows of the embeddings (`trainableTokenIndices`), by module. The head of a model that shares
 * the embeddings shares the trained rows too, as in PEFT.
 */
export function trainableTokenLayers(
  model: CausalLM,
  { trainableTokenIndices, targetModules }: AdapterConfig,
): Map<AdaptableModule, AdapterLayer> {
  const layers = new Map<AdaptableModule, AdapterLayer>()
  if (!trainableTokenIndices) return layers
  const wrong = (what: string, remedy: string) => invalidOptions(what, { where: 'trainableTokenIndices', remedy })
  const byModule = Array.isArray(trainableTokenIndices)
    ? { [model.embedTokens.name]: trainableTokenIndices }
    : trainableTokenIndices
  const pair = [model.embedTokens, model.lmHead]
  // Rows of a tied pair are shared, unless others are named for the head than for the embeddings.
  const tied =
    model.lmHead.weight === model.embedTokens.weight &&
    new Set(Object.values(byModule).map((indices) => [...indices].sort((a, b) => a - b).join())).size === 1
  for (const [name, indices] of Object.entries(byModule)) {
    const module = pair.find((candidate) => matchesModule(candidate.name, [name]))
    if (!module) throw wrong(`No embeddings are named ${name}`, 'There are embed_tokens and lm_head')
    const outside = indices.filter((index) => index >= model.config.vocabSize)
    if (outside.length > 0 || new Set(indices).size !== indices.length)
      throw wrong(
        `Token ids must differ and lie below ${model.config.vocabSize}`,
        `Look at ${(outside.length ? outside : indices).slice(0, 5).join(', ')}`,
      )
    for (const { name } of tied ? pair : [module])
      if (targetModules !== undefined && matchesModule(name, targetModules))
        throw wrong(`${name} is in targetModules, and its rows would be trained as well`, 'Choose one of the two')
    const rows = rowsOf(module.weight, indices)
    const parameters = { [KEY]: rows }
    const embeds = tied || module === model.embedTokens
    if (embeds) layers.set(model.embedTokens, { parameters, ...tokenEmbeddings(model.config.vocabSize, indices, rows) })
    if (tied || module === model.lmHead)
      layers.set(model.lmHead, { parameters: embeds ? {} : parameters, uses: [rows], ...tokenHead(indices, rows) })
  }
  return layers
}

/** Variables with the values of some rows. Weights without values (sizes only) give zeros. */
function rowsOf(weight: WeightMatrix, indices: readonly number[]): tf.Variable<tf.Rank.R2> {
  return withoutRecording(() =>
    tf.tidy(() => {
      const row = (index: number) =>
        weight.weight ? dequantize(weight, index, index + 1) : tf.zeros<tf.Rank.R2>([1, weight.inFeatures])
      return tf.variable(tf.concat2d(indices.map(row), 0))
    }),
  )
}

/** The base with some rows replaced. */
function withRows(weight: tf.Tensor2D, indices: readonly number[], rows: tf.Tensor2D): tf.Tensor2D {
  const { keep, place } = placement(weight.shape[0], indices)
  return tf.add(tf.mul(weight, tf.expandDims(keep, 1)), tf.matMul(place, rows, true, false))
}

/** 0 at the trained ids and 1 elsewhere `[vocab]`; and where each trained row belongs, `[rows, vocab]`. */
function placement(vocab: number, indices: readonly number[]): { keep: tf.Tensor1D; place: tf.Tensor2D } {
  return withoutRecording(() => {
    const keep = new Float32Array(vocab).fill(1)
    for (const index of indices) keep[index] = 0
    return { keep: tf.tensor1d(keep), place: tf.cast(tf.oneHot([...indices], vocab), 'float32') as tf.Tensor2D }
  })
}

type Computation = Omit<AdapterLayer, 'parameters'>

function tokenEmbeddings(vocab: number, indices: readonly number[], rows: tf.Variable<tf.Rank.R2>): Computation {
  // Every other id reads a row of zeros behind the trained ones.
  const slots = new Int32Array(vocab).fill(indices.length)
  indices.forEach((index, slot) => {
    slots[index] = slot
  })
  return {
    embed: (ids, below) =>
      tf.tidy(() => {
        const wanted = ids.dataSync()
        const [slot, keep] = withoutRecording(() => {
          const found = Array.from(wanted, (id) => slots[id]!)
          const others = found.map((s) => (s === indices.length ? 1 : 0))
          return [tf.tensor1d(found, 'int32'), tf.tensor2d(others, [others.length, 1])] as const
        })
        const zeros = tf.zeros<tf.Rank.R2>([1, rows.shape[1]])
        const trained = embeddingLookup(denseWeight(tf.concat2d([rows, zeros], 0)), slot)
        return tf.add(tf.mul(below.forward(ids), keep), trained) as tf.Tensor2D
      }),
    merge: ({ weight, bias }) => ({ weight: withRows(weight, indices, rows), bias }),
  }
}

/** The same rows on the output side: the logits of the trained ids come from them. */
function tokenHead(indices: readonly number[], rows: tf.Variable<tf.Rank.R2>): Computation {
  return {
    forward: (x, below) =>
      tf.tidy(() => {
        const logits = below.forward(x)
        const { keep, place } = placement(logits.shape[1], indices)
        const trained = tf.matMul(tf.matMul(x, rows, false, true), place)
        return tf.add(tf.mul(logits, keep), trained) as tf.Tensor2D
      }),
    merge: ({ weight, bias }) => ({ weight: withRows(weight, indices, rows), bias }),
  }
}
