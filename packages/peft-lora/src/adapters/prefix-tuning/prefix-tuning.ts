import * as tf from '@tensorflow/tfjs-core'
import type { CausalLM } from '@tunesmith/models'
import { z } from 'zod'
import type { Adapter, SharedParts } from '../../adapter'
import { modulesToSaveOption } from '../../trained-copies'
import { variableOf } from '../../variable'
import { projection } from './projection'

export const prefixTuningConfigSchema = z.strictObject({
  peftType: z.literal('PREFIX_TUNING'),
  /** How many trained keys and values every layer sees before every sequence. */
  numVirtualTokens: z.number().int().positive(),
  /** Whether they are made from smaller embeddings by two linear layers with a tanh between, while training. Default false. */
  prefixProjection: z.boolean().default(false),
  /** Width between those two layers. Default: the width of a layer's keys. */
  encoderHiddenSize: z.number().int().positive().optional(),
  /** `zero`: keys and values begin as zeros. Default: random. */
  initWeights: z.literal('zero').optional(),
  modulesToSave: modulesToSaveOption.modulesToSave,
})
/** What a caller may write. */
export type PrefixTuningConfigOptions = z.input<typeof prefixTuningConfigSchema>
/** With defaults filled in. */
export type PrefixTuningConfig = z.output<typeof prefixTuningConfigSchema>

/** Key of the file: keys and values of all layers in one matrix `[count, layers * 2 * width]`. */
const KEY = 'prompt_embeddings'

const widthOf = ({ config: { numKeyValueHeads, headDim } }: CausalLM) => numKeyValueHeads * headDim

/** Trained keys and values themselves; of layer l, the keys are part 2 l and the values part 2 l + 1. */
function plain(matrix: tf.Variable<tf.Rank.R2>, count: number, width: number): SharedParts {
  const part = (index: number) => tf.slice2d(matrix, [0, index * width], [count, width])
  const keyValues = (layer: number) => ({ keys: part(2 * layer), values: part(2 * layer + 1) })
  return { parameters: { [KEY]: matrix }, virtualTokens: { count, keyValues } }
}

/**
 * Prefix tuning (Li and Liang 2021): trained keys and values before every sequence, in every layer.
 *
 * With `prefixProjection` a perceptron makes them while training; a file holds what it made, so a loaded adapter goes on
 * from the keys and values themselves (PEFT's files are the same, and PEFT cannot train them on).
 */
export const prefixTuning: Adapter<PrefixTuningConfig, SharedParts> = {
  peftType: 'PREFIX_TUNING',
  schema: prefixTuningConfigSchema,
  shared(model, { config, random, loading }) {
    const { numVirtualTokens: count, prefixProjection, initWeights, encoderHiddenSize } = config
    const width = widthOf(model)
    const layers = model.config.numHiddenLayers
    const zero = initWeights === 'zero'
    if (!prefixProjection || loading) {
      const draw = loading || zero ? () => 0 : () => random.normal()
      return plain(variableOf([count, 2 * layers * width], draw), count, width)
    }
    const sizes = { count, width, hidden: encoderHiddenSize ?? width, layers, zero }
    const { parameters, keyValues } = projection(sizes, random)
    const computed = () =>
      Array.from({ length: layers }, (_, layer) => keyValues(layer)).flatMap(({ keys, values }) => [keys, values])
    return {
      parameters,
      virtualTokens: { count, keyValues },
      file: {
        write(variables) {
          const others = [...variables].filter(([key]) => !(key in parameters))
          return new Map([[KEY, tf.concat2d(computed(), 1)], ...others])
        },
        read: (stored) => new Map(stored),
      },
    }
  },
  json: {
    write: ({ encoderHiddenSize }, model) => ({
      encoder_hidden_size: encoderHiddenSize ?? widthOf(model),
      num_attention_heads: model.config.numKeyValueHeads,
      num_layers: model.config.numHiddenLayers,
      num_transformer_submodules: 1,
      token_dim: widthOf(model),
    }),
    ignored: ['num_attention_heads', 'num_layers', 'num_transformer_submodules', 'token_dim'],
  },
}
