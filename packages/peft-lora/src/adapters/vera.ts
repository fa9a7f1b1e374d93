import * as tf from '@tensorflow/tfjs-core'
import { Random, unsupported } from '@tunesmith/core'
import { z } from 'zod'
import type { Adapter } from '../adapter'
import { targetOptions } from '../target-modules'
import { modulesToSaveOption } from '../trained-copies'
import { uniform, variableOf } from '../variable'
import { dropped } from './lora/linear-layer'

export const veraConfigSchema = z.strictObject({
  peftType: z.literal('VERA'),
  /** Rank; larger than LoRA's, since only vectors are trained. Default 256. */
  r: z.number().int().positive().default(256),
  targetModules: targetOptions.targetModules,
  layersToTransform: targetOptions.layersToTransform,
  layersPattern: targetOptions.layersPattern,
  modulesToSave: modulesToSaveOption.modulesToSave,
  /** Seed of the shared random matrices. Default 0. PEFT draws others from it, so they are always saved. */
  projectionPrngKey: z.number().int().default(0),
  /** The shared matrices are in the file. Always true here. */
  saveProjection: z.literal(true).default(true),
  /** Probability of dropping an element of the input during training. Default 0. */
  veraDropout: z.number().min(0).lt(1).default(0),
  /** What `vera_lambda_d` begins as. Default 0.1. */
  dInitial: z.number().default(0.1),
  /** Biases that are trained. Default `none`. */
  bias: z.enum(['none', 'all', 'vera_only']).default('none'),
  /** false: normal deviates and ones instead of `dInitial` and zeros, for tests. Default true. */
  initWeights: z.boolean().default(true),
})
/** What a caller may write. */
export type VeraConfigOptions = z.input<typeof veraConfigSchema>
/** With defaults filled in. */
export type VeraConfig = z.output<typeof veraConfigSchema>

interface Projections {
  buffers: { 'base_model.vera_A': tf.Variable<tf.Rank.R2>; 'base_model.vera_B': tf.Variable<tf.Rank.R2> }
}

/** Kaiming uniform for a rectified linear unit: within the root of six over the number of inputs. */
const kaiming = (rows: number, columns: number, random: Random) =>
  variableOf([rows, columns], uniform(random, Math.sqrt(6 / columns)), false)

/**
 * VeRA (Kopiczko et al. 2023): `lambda_b * B (lambda_d * A x)` with A and B random, frozen and shared by all layers; the
 * vectors are trained. A and B are as large as the largest layer needs; others use their first columns and rows.
 */
export const vera: Adapter<VeraConfig, Projections> = {
  peftType: 'VERA',
  schema: veraConfigSchema,
  shared(_model, { config: { r, projectionPrngKey }, targets }) {
    const random = new Random(projectionPrngKey, 'VERA')
    const weights = targets.map(({ weight }) => weight)
    const columns = Math.max(...weights.map(({ inFeatures }) => inFeatures))
    const rows = Math.max(...weights.map(({ outFeatures }) => outFeatures))
    const [a, b] = [kaiming(r, columns, random), kaiming(rows, r, random)]
    return { buffers: { 'base_model.vera_A': a, 'base_model.vera_B': b } }
  },
  layer(module, { config: { r, dInitial, initWeights, veraDropout }, shared: { buffers }, random }) {
    const { inFeatures, outFeatures } = module.weight
    const lambdaB = variableOf<tf.Rank.R1>([outFeatures], () => (initWeights ? 0 : 1))
    const lambdaD = variableOf<tf.Rank.R1>([r], () => (initWeights ? dInitial : random.normal()))
    const part = (matrix: tf.Tensor2D, shape: [number, number]): tf.Tensor2D =>
      matrix.shape.join() === shape.join() ? matrix : tf.slice2d(matrix, [0, 0], shape)
    const rows = () => part(buffers['base_model.vera_B'], [outFeatures, r])
    const columns = () => part(buffers['base_model.vera_A'], [r, inFeatures])
    const delta = (x: tf.Tensor2D): tf.Tensor2D => {
      const reduced = tf.mul(tf.matMul(x, columns(), false, true), lambdaD) as tf.Tensor2D
      return tf.mul(tf.matMul(reduced, rows(), false, true), lambdaB)
    }
    return {
      parameters: { vera_lambda_b: lambdaB, vera_lambda_d: lambdaD },
      forward: (x, below, { training, seed }) =>
        tf.tidy(() => tf.add(below.forward(x), delta(dropped(x, training ? veraDropout : 0, seed)))),
      delta: (x) => tf.tidy(() => delta(x)),
      merge: ({ weight, bias }) => {
        const left = tf.mul(rows(), tf.reshape(lambdaB, [outFeatures, 1])) as tf.Tensor2D
        const right = tf.mul(columns(), tf.reshape(lambdaD, [r, 1])) as tf.Tensor2D
        return { weight: tf.add(weight, tf.matMul(left, right)), bias }
      },
    }
  },
  json: {
    write: () => ({ fan_in_fan_out: false }),
    read(json) {
      if (json.save_projection === false)
        throw unsupported("The adapter was saved without its random matrices, which only torch's generator gives", {
          where: 'save_projection',
          remedy: 'Save it again in PEFT from a model whose VeraConfig has save_projection=True',
        })
      return {}
    },
    refused: ['fan_in_fan_out'],
  },
}
