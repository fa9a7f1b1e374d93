/** Models of a given shape with random weights in a storage format, for benches: nothing to download, nothing to convert. */
import * as tf from '@tensorflow/tfjs-core'
import { packedWeight } from '@tunesmith/backend'
import { bf16ToF32 } from '@tunesmith/hub'
import { CausalLM, parseModelConfig } from '@tunesmith/models'
import { quantMap4bit } from '@tunesmith/quantization'

/** The shape of TinyLlama-1.1B. */
export const TINY_LLAMA = {
  model_type: 'llama',
  vocab_size: 32000,
  hidden_size: 2048,
  intermediate_size: 5632,
  num_hidden_layers: 22,
  num_attention_heads: 32,
  num_key_value_heads: 4,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
}

/** Small random numbers in bfloat16, from a cheap generator: there are 1.1 thousand million of them. */
export function randomBf16(size, seed) {
  let state = seed
  const float = new Float32Array(1)
  const bits = new Uint32Array(float.buffer)
  const halves = new Uint16Array(size)
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    float[0] = ((state >>> 8) / 2 ** 24 - 0.5) * 0.07
    halves[i] = bits[0] >>> 16
  }
  return halves
}

function randomBytes(size, seed) {
  const bytes = new Uint8Array(size)
  let state = seed
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    bytes[i] = state >>> 16
  }
  return bytes
}

const QUANTIZED = new Set(['nf4', 'int8'])

/** The same random weights in a storage format. */
function randomMatrix(format, outFeatures, inFeatures, seed) {
  const size = outFeatures * inFeatures
  if (format === 'nf4') {
    return packedWeight({
      format,
      outFeatures,
      inFeatures,
      blockSize: 64,
      bytes: randomBytes(size / 2, seed),
      code: quantMap4bit('nf4'),
      absmax: new Float32Array(size / 64).fill(0.04),
    })
  }
  if (format === 'int8') {
    const scale = new Float32Array(outFeatures).fill(0.04 / 127)
    return packedWeight({ format, outFeatures, inFeatures, bytes: randomBytes(size, seed), scale })
  }
  const values = format === 'f32' ? bf16ToF32(randomBf16(size, seed)) : randomBf16(size, seed)
  return packedWeight({ format, outFeatures, inFeatures, bytes: new Uint8Array(values.buffer) })
}

/**
 * A model with random weights.
 *
 * @param config the content of a config.json
 * @param format `f32`, `bf16`, `nf4` or `int8`; as bitsandbytes does, the head and the embeddings of the latter two stay bf16
 */
export function randomModel(config, format) {
  let seed = 1
  return new CausalLM(parseModelConfig(config), {
    matrix: (name, outFeatures, inFeatures) =>
      randomMatrix(
        QUANTIZED.has(format) && !name.includes('.layers.') ? 'bf16' : format,
        outFeatures,
        inFeatures,
        seed++,
      ),
    vector: (_, size) => tf.tensor1d(new Float32Array(size).fill(1)),
  })
}
