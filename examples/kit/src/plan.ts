import { freemem, totalmem } from 'node:os'
import { parseModelConfig } from '@tunesmith/models'
import { bytesText } from './figures'
import type { ExampleRun } from './run'
import { type FullModel, SHAPES } from './shapes'
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

/**
 * Shows what the full run trains and the memory it takes, beside what this machine has. A full run that was not confirmed
 * with `--yes` ends here, before anything is downloaded.
 */
export function showPlan(run: ExampleRun, model: FullModel, options: Omit<PlanOptions, 'config'>): MemoryPlan {
  const plan = memoryPlan({ ...options, config: SHAPES[model] })
  const checkpointed = options.gradientCheckpointing ? ', checkpointed' : ''
  showTable(
    ['the full run', model],
    [
      ['parameters', plan.line],
      [`weights (${options.weights})`, bytesText(plan.weights)],
      ['adapter, gradients, optimizer', bytesText(plan.adapter)],
      [`activations (${options.tokens} tokens${checkpointed})`, bytesText(plan.activations)],
      ['together, estimated from the shapes', bytesText(plan.total)],
      ['memory of this machine', `${bytesText(totalmem())}, ${bytesText(freemem())} of it free`],
    ],
  )
  if (run.mode === 'full' && !run.confirmed) {
    console.log('This is the plan of the full run; nothing was downloaded yet. Start it with --yes, or see --smoke.')
    process.exit(0)
  }
  return plan
}
