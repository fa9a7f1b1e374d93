import * as tf from '@tensorflow/tfjs-core'
import { linear, loraLinear } from '@tunesmith/backend'
import type { LinearModule } from '@tunesmith/models'
import type { AdapterLayer } from '../../adapter'
import { dropped, type LoraTensors, lowRank, update } from './linear-layer'
import { rowNorms } from './weight-norms'

/**
 * Weight-decomposed low-rank adaptation (Liu et al. 2024): `m (W + scaling B A) / |W + scaling B A|`, row by row. The
 * lengths of the rows are not differentiated (section 4.3 there).
 */
export function doraLinearLayer(module: LinearModule, tensors: LoraTensors): AdapterLayer {
  const { a, b, scaling, dropout } = tensors
  const norms = rowNorms(() => module.weight, tensors)
  const magnitude = tf.tidy(() => tf.variable(tf.clone(norms.lengths())))
  return {
    parameters: { 'lora_A.weight': a, 'lora_B.weight': b, lora_magnitude_vector: magnitude },
    forward: (x, below, call) =>
      tf.tidy(() => {
        const { weight, bias } = module
        const scale = tf.div(magnitude, norms.lengths(call))
        const plain = { scaling, dropout: 0, seed: 0 }
        if (call.training && dropout > 0) {
          // What is dropped is dropped for both parts; the base part of the whole input stays, as in PEFT.
          const kept = dropped(x, dropout, call.seed)
          const base = below.isModule
            ? linear(tf.sub(x, kept), weight, bias)
            : tf.sub(below.forward(x), linear(kept, weight))
          return tf.add(base, tf.mul(loraLinear(kept, weight, a, b, plain), scale)) as tf.Tensor2D
        }
        if (below.isModule) {
          const y = tf.mul(loraLinear(x, weight, a, b, plain), scale) as tf.Tensor2D
          return bias ? tf.add(y, bias) : y
        }
        const under = below.forward(x)
        const withoutBias = bias ? tf.sub(under, bias) : under
        const change = tf.add(tf.mul(withoutBias, tf.sub(scale, 1)), tf.mul(lowRank(x, tensors), scale))
        return tf.add(under, change) as tf.Tensor2D
      }),
    merge({ weight, bias }) {
      const scale = tf.div(magnitude, norms.lengths())
      return { weight: tf.mul(tf.add(weight, update(tensors)), tf.expandDims(scale, 1)), bias }
    },
    baseChanged: () => norms.reset(),
    dispose: () => norms.reset(),
  }
}
