import { freemem, totalmem } from 'node:os'
import { parseModelConfig } from '@tunesmith/models'
import { gigabytes } from './figures'
import { showTable } from './show'

/** What a full run needs to know before anything is downloaded. */
export interface PlanOptions {
  /** The content of the model's config.json. */
  config: Record<string, unknown>
  /** How the linear layers are kept. The embeddings and the head stay in 16 bits. */
  weights: 'nf4' | 'bfloat16'
  lora: { r: number; targetModules: readonly string[] }
  /** Bytes of optimizer state per trained number: 8 for 32-bit AdamW, 2 for 8-bit. */
  optimizerBytes: 8 | 2
  /** Tokens of a micro-batch. */
  tokens: number
  gradientCheckpointing: boolean
}

export interface MemoryPlan {
  parameters: number
  trainable: number
  /** PEFT's line. */
  line: string
  /** Bytes. */
  weights: number
  adapter: number
  activations: number
  total: number
}

/** Features out and in of each linear layer of a block, by PEFT's name. */
function blockLinears(config: ReturnType<typeof parseModelConfig>): Record<string, [out: number, in_: number]> {
  const { hiddenSize: h, intermediateSize: m, numAttentionHeads, numKeyValueHeads, headDim } = config
  const [q, kv] = [numAttentionHeads * headDim, numKeyValueHeads * headDim]
  return {
    q_proj: [q, h],
    k_proj: [kv, h],
    v_proj: [kv, h],
    o_proj: [h, q],
    gate_proj: [m, h],
    up_proj: [m, h],
    down_proj: [h, m],
  }
}

/**
 * Counts parameters and estimates memory from a config.json alone.
 *
 * Weights: NF4 takes half a byte and, with double quantization, 1/64 + 4/(64 x 256) byte for scales. Adapter: 4 bytes each
 * for value and gradient, and the optimizer's state. Activations are float32: with checkpointing one hidden state per
 * block and the inside of one block, without it the inside of every block. A block's inside holds about
 * 8 hidden + 2 (q + 2 kv) + 4 intermediate numbers per token.
 */
export function memoryPlan(options: PlanOptions): MemoryPlan {
  const config = parseModelConfig(options.config)
  const { hiddenSize: h, intermediateSize: m, numHiddenLayers: layers, vocabSize, tieWordEmbeddings } = config
  const linears = blockLinears(config)
  const linear = layers * Object.values(linears).reduce((sum, [out, in_]) => sum + out * in_, 0)
  const embeddings = vocabSize * h * (tieWordEmbeddings ? 1 : 2)
  const norms = h * (2 * layers + 1)
  const trainable =
    layers *
    options.lora.targetModules.reduce((sum, name) => sum + options.lora.r * (linears[name]![0] + linears[name]![1]), 0)
  const parameters = linear + embeddings + norms + trainable
  const perLinear = options.weights === 'nf4' ? 0.5 + 1 / 64 + 4 / (64 * 256) : 2
  const weights = linear * perLinear + embeddings * 2 + norms * 4
  const adapter = trainable * (4 + 4 + options.optimizerBytes)
  const inside = 4 * options.tokens * (8 * h + 2 * (linears.q_proj![0] + 2 * linears.k_proj![0]) + 4 * m)
  const activations = options.gradientCheckpointing ? layers * 4 * options.tokens * h + inside : layers * inside
  const number = (value: number) => value.toLocaleString('en-US')
  return {
    parameters,
    trainable,
    line: `trainable params: ${number(trainable)} || all params: ${number(parameters)} || trainable%: ${((100 * trainable) / parameters).toFixed(4)}`,
    weights,
    adapter,
    activations,
    total: weights + adapter + activations,
  }
}

/** Shows the plan of a full run: what is trained, and the memory it takes beside what this machine has. */
export function showPlan(name: string, options: PlanOptions): MemoryPlan {
  const plan = memoryPlan(options)
  console.log(plan.line)
  showTable(
    ['memory', 'estimate'],
    [
      [`${name}, weights (${options.weights})`, gigabytes(plan.weights)],
      ['adapter, its gradients and optimizer state', gigabytes(plan.adapter)],
      [
        `activations, ${options.tokens} tokens${options.gradientCheckpointing ? ', checkpointed' : ''}`,
        gigabytes(plan.activations),
      ],
      ['together', gigabytes(plan.total)],
    ],
    { caption: 'Estimated from the shapes alone; buffers of the runtime come on top' },
  )
  return plan
}

/** This machine's memory, to stand beside the plan's. */
export const memoryHere = (): string =>
  `this machine: ${gigabytes(totalmem())} of memory, ${gigabytes(freemem())} of it free`
