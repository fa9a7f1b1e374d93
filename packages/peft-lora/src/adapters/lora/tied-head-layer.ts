import * as tf from '@tensorflow/tfjs-core'
import type { AdapterLayer } from '../../adapter'
import { dropped, type LoraTensors, lowRank } from './linear-layer'

/**
 * The head's part of an update that it shares with the embeddings it is tied to: theirs is `scaling * (B A)^T` with A `[r, vocab]` and B
 * `[hidden, r]`, so that the head's A is their B transposed and the other way round. PEFT's file has both pairs.
 */
export function tiedHeadLayer(embeddings: LoraTensors): AdapterLayer {
  const { a, b, scaling, dropout } = embeddings
  const own = () => ({ a: tf.transpose(b), b: tf.transpose(a), scaling })
  return {
    parameters: {},
    uses: [a, b].filter(({ trainable }) => trainable),
    derived: { 'lora_A.weight': () => own().a, 'lora_B.weight': () => own().b },
    forward: (x, below, { training, seed }) =>
      tf.tidy(() => tf.add(below.forward(x), lowRank(dropped(x, training ? dropout : 0, seed), own()))),
    delta: (x) => tf.tidy(() => lowRank(x, own())),
    merge({ weight, bias }) {
      const { a: down, b: up } = own()
      return { weight: tf.add(weight, tf.mul(tf.matMul(up, down), scaling)), bias }
    },
  }
}
