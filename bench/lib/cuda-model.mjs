/** A model with made-up weights on the CUDA backend, trained with LoRA and decoded: for cuda.mjs on a GPU, for cuda-plan.mjs on the dry device. */
import * as tf from '@tensorflow/tfjs-core'
import { gradNorm, packedWeight, selectBackend, valueAndGrads } from '@tunesmith/backend'
import { CausalLM, packSequences, parseModelConfig } from '@tunesmith/models'
import { getPeftModel } from '@tunesmith/peft-lora'
import { quantMap4bit } from '@tunesmith/quantization'
import { createOptimizer, parameterGroups } from '@tunesmith/sft-trainer'
import { randomBf16 } from './random-model.mjs'

const LINEARS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']
const dry = process.env.TUNESMITH_CUDA_DRY === '1'

// The dry device looks at no weight: all of them are one run of zeros that no memory stands behind.
let zeros = new ArrayBuffer(0)
// One block of random numbers, repeated: eight thousand million fresh ones would take longer than the bench.
let block

/** Bytes to read only. */
function made(size) {
  if (dry) {
    if (zeros.byteLength < size) zeros = new ArrayBuffer(size)
    return new Uint8Array(zeros, 0, size)
  }
  block ??= new Uint8Array(randomBf16(1 << 22, 1).buffer)
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; at += block.length) bytes.set(block.subarray(0, size - at), at)
  return bytes
}

/** A weight `[outFeatures, inFeatures]` in `bf16` or `nf4` on the device. */
export function madeWeight(format, outFeatures, inFeatures) {
  const size = outFeatures * inFeatures
  if (format !== 'nf4') return packedWeight({ format, outFeatures, inFeatures, bytes: made(size * 2) })
  const absmax = dry ? new Float32Array(made(size / 16).buffer, 0, size / 64) : new Float32Array(size / 64).fill(0.04)
  const code = quantMap4bit('nf4')
  return packedWeight({ format, outFeatures, inFeatures, blockSize: 64, bytes: made(size / 2), code, absmax })
}

/**
 * The model of a config.json with LoRA on all linear layers and its optimizer.
 *
 * @param format of the blocks' linear layers, `bf16` or `nf4`; the embeddings and the head are bf16
 * @param optim a name that SFTConfig knows
 */
export async function loraModel({ config, format, r, optim = 'adamw', gradientCheckpointing = false }) {
  await selectBackend({ backend: 'cuda' })
  const model = new CausalLM(parseModelConfig(config), {
    matrix: (name, outFeatures, inFeatures) =>
      madeWeight(name.includes('.layers.') ? format : 'bf16', outFeatures, inFeatures),
    vector: (_, size) => tf.tensor1d(new Float32Array(size).fill(1)),
  })
  const peft = getPeftModel(model, { r, loraAlpha: 2 * r, targetModules: LINEARS })
  const parameters = peft.parameters()
  const groups = parameterGroups(parameters, { learningRate: 2e-4, weightDecay: 0 })
  const optimizer = createOptimizer(optim, groups, { beta1: 0.9, beta2: 0.999, eps: 1e-8, args: {} })
  return { model, peft, parameters, optimizer, gradientCheckpointing }
}

/** Token ids that look like nothing in particular. */
export const sequence = (length, seed, vocab) =>
  Array.from({ length }, (_, i) => ((Math.imul(i + 1, 40503) + seed * 7919) >>> 0) % vocab)

/**
 * One optimizer step on one packed batch: two thirds of it a sequence, the rest another.
 *
 * @returns the loss per token and the gradients' norm
 */
export function trainStep({ model, parameters, optimizer, gradientCheckpointing }, tokens, seed) {
  const { vocabSize } = model.config
  const first = Math.floor((tokens * 2) / 3)
  const input = packSequences([sequence(first, seed, vocabSize), sequence(tokens - first, seed + 1000, vocabSize)])
  const labels = new Int32Array(tokens).fill(-100)
  for (let s = 0; s < 2; s++)
    for (let t = input.cuSeqlens[s]; t + 1 < input.cuSeqlens[s + 1]; t++) labels[t] = input.inputIds[t + 1]
  const { value, grads } = valueAndGrads(
    () => model.loss(input, labels, { gradientCheckpointing }).loss,
    [...parameters.values()],
  )
  const scale = 1 / (tokens - 2)
  const norm = gradNorm(grads) * scale
  const byName = new Map([...parameters.keys()].map((name, i) => [name, grads[i]]))
  optimizer.step(byName, 2e-4, scale * Math.min(1, 1 / (norm + 1e-6)))
  const loss = value.dataSync()[0] * scale
  tf.dispose([value, ...grads])
  return { loss, norm }
}
