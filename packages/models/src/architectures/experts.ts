import * as tf from '@tensorflow/tfjs-core'
import { denseWeight, embeddingLookup, groupedLinear, scatterRows, withoutRecording } from '@tunesmith/backend'
import type { LayerConfig, ModelConfig } from '../model-config'
import type { DecoderLayer, ExpertsShape, LinearShape } from './architecture'
import { columns, gated } from './parts'

/** The router's matrix and the stacks of the experts. */
export const expertLinears = (
  { hiddenSize }: ModelConfig,
  { numExperts }: LayerConfig,
): Record<string, LinearShape> => ({
  'mlp.gate': { inFeatures: hiddenSize, outFeatures: numExperts, bias: false, isParameter: true },
})

/** gate and up in one matrix, and down, of each expert. */
export function expertShapes(
  { hiddenSize }: ModelConfig,
  { numExperts: count, intermediateSize }: LayerConfig,
): Record<string, ExpertsShape> {
  if (count === 0) return {}
  return {
    'mlp.experts.gate_up_proj': { count, inFeatures: hiddenSize, outFeatures: 2 * intermediateSize },
    'mlp.experts.down_proj': { count, inFeatures: intermediateSize, outFeatures: hiddenSize },
  }
}

/** Which rows go to which expert, in host memory. */
interface Routing {
  /** How many rows each expert gets. */
  counts: Int32Array
  /** Rows sorted by expert: the token of each, and where its weight is in the flattened probabilities. */
  tokens: Int32Array
  places: Int32Array
}

/** The `perToken` most probable experts of each token. */
function route(probabilities: Float32Array, experts: number, perToken: number): Routing {
  const tokens = probabilities.length / experts
  const chosen: number[][] = Array.from({ length: experts }, () => [])
  const order = Array.from({ length: experts }, (_, e) => e)
  for (let t = 0; t < tokens; t++) {
    const row = probabilities.subarray(t * experts, (t + 1) * experts)
    const best = [...order].sort((a, b) => row[b]! - row[a]! || a - b).slice(0, perToken)
    for (const e of best) chosen[e]!.push(t)
  }
  return {
    counts: Int32Array.from(chosen, ({ length }) => length),
    tokens: Int32Array.from(chosen.flat()),
    places: Int32Array.from(chosen.flatMap((rows, e) => rows.map((t) => t * experts + e))),
  }
}

/**
 * A mixture of gated feed-forward parts (Shazeer et al. 2017; Fedus et al. 2021): each token goes through the experts that the router finds
 * most probable, and their outputs are added, weighted with those probabilities. Tokens are sorted by expert, so that each expert
 * multiplies its own at once.
 */
export function mixture(layer: DecoderLayer, x: tf.Tensor2D): tf.Tensor2D {
  const { expertsPerToken, normalizesExperts } = layer.config
  const { numExperts, intermediateSize } = layer
  const probabilities: tf.Tensor2D = tf.softmax(layer.linear('mlp.gate', x))
  const values = withoutRecording(() => probabilities.dataSync<'float32'>())
  const { counts, tokens, places } = route(values, numExperts, expertsPerToken)
  const rows = tf.tensor1d(tokens, 'int32')
  const weights = weightsOf(probabilities, places, normalizesExperts)
  const both = groupedLinear(gather(x, rows), layer.experts('mlp.experts.gate_up_proj'), counts)
  const inner = gated(layer, columns(both, 0, intermediateSize), columns(both, intermediateSize, intermediateSize))
  const outputs = groupedLinear(inner, layer.experts('mlp.experts.down_proj'), counts)
  return scatterRows(tf.mul(outputs, weights), rows, x.shape[0])
}

const gather = (x: tf.Tensor2D, rows: tf.Tensor1D) => embeddingLookup(denseWeight(x), rows)

/** The weight of each row `[rows, 1]`. */
function weightsOf(probabilities: tf.Tensor2D, places: Int32Array, normalizes: boolean): tf.Tensor2D {
  const at = tf.tensor1d(places, 'int32')
  const pick = (x: tf.Tensor2D) => gather(tf.reshape(x, [-1, 1]), at)
  if (!normalizes) return pick(probabilities)
  const mask = new Float32Array(probabilities.size)
  for (const place of places) mask[place] = 1
  const sums = tf.sum(tf.mul(probabilities, tf.tensor2d(mask, probabilities.shape)), 1, true)
  return pick(tf.div(probabilities, sums))
}

/**
 * Names of the tensors of single experts, which checkpoints hold, for the stacks.
 *
 * @param named what the experts are called in checkpoints, and the names of gate, up and down.
 */
export function storedExperts(
  name: string,
  { layers }: ModelConfig,
  { experts, gate, up, down }: { experts: string; gate: string; up: string; down: string },
): { parts: string[] } | undefined {
  const [, before, index, stack] = /^(.*\.(\d+)\.)mlp\.experts\.(gate_up_proj|down_proj)$/.exec(name) ?? []
  if (stack === undefined) return undefined
  const parts = stack === 'down_proj' ? [down] : [gate, up]
  const count = layers[Number(index)]!.numExperts
  return {
    parts: Array.from({ length: count }, (_, e) =>
      parts.map((part) => `${before}${experts}.${e}.${part}.weight`),
    ).flat(),
  }
}
