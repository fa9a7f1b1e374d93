import { TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { architectureNames, architectureOf } from './architectures'
import { type RopeConfig, ropeConfig } from './rope'

/** What config.json says about a decoder-only model, in one layout whatever version of transformers wrote it. */
export interface ModelConfig {
  modelType: string
  vocabSize: number
  hiddenSize: number
  intermediateSize: number
  numHiddenLayers: number
  numAttentionHeads: number
  numKeyValueHeads: number
  headDim: number
  maxPositionEmbeddings: number
  rmsNormEps: number
  hiddenAct: 'silu' | 'gelu_tanh'
  rope: RopeConfig
  /** Keys a query sees at most in each layer, itself included; 0 for all. */
  windows: number[]
  /** Multiplies attention scores. */
  attentionScale: number
  /** Attention scores become `cap * tanh(score / cap)`; 0 for none. */
  attentionSoftcap: number
  /** Likewise the logits. */
  logitSoftcap: number
  tieWordEmbeddings: boolean
  attentionBias: boolean
  mlpBias: boolean
  initializerRange: number
  bosTokenId: number | undefined
  eosTokenIds: number[]
  padTokenId: number | undefined
  /** The dtype the checkpoint was saved in, as named there. */
  dtype: string | undefined
  /** The file as it was read; written back by `savePretrained`. */
  raw: Record<string, unknown>
}

const ACTIVATIONS: Record<string, ModelConfig['hiddenAct']> = {
  silu: 'silu',
  swish: 'silu',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_new: 'gelu_tanh',
}

const count = z.number().int().positive()
const tokenId = z.number().int().nonnegative().nullish()

const rawSchema = z.looseObject({
  model_type: z.string(),
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  max_position_embeddings: count.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  hidden_act: z.string().nullish(),
  hidden_activation: z.string().nullish(),
  sliding_window: count.nullish(),
  use_sliding_window: z.boolean().nullish(),
  max_window_layers: z.number().int().nonnegative().nullish(),
  layer_types: z.array(z.string()).nullish(),
  query_pre_attn_scalar: z.number().positive().nullish(),
  attn_logit_softcapping: z.number().positive().nullish(),
  final_logit_softcapping: z.number().positive().nullish(),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  initializer_range: z.number().positive().default(0.02),
  bos_token_id: tokenId,
  eos_token_id: z.union([tokenId, z.array(z.number().int())]),
  pad_token_id: tokenId,
  dtype: z.string().nullish(),
  torch_dtype: z.string().nullish(),
})

/** Which layers look at a window, in transformers' order of precedence. */
function windowsOf(c: z.output<typeof rawSchema>): number[] {
  const window = c.sliding_window ?? 0
  const qwen = c.model_type.startsWith('qwen')
  return Array.from({ length: c.num_hidden_layers }, (_, layer) => {
    // Qwen names a window but switches it off beside it, and starts at a layer.
    if (qwen && !c.use_sliding_window) return 0
    if (c.layer_types) return c.layer_types[layer] === 'sliding_attention' ? window : 0
    if (qwen) return layer >= (c.max_window_layers ?? 28) ? window : 0
    if (c.model_type === 'gemma2') return layer % 2 === 0 ? window : 0
    return window
  })
}

/**
 * Reads the content of a config.json.
 *
 * @param where the file, for messages.
 * @throws {TunesmithError} `unsupported` for a `model_type` nobody has written, `invalid_file` for a key that is missing or wrong.
 */
export function parseModelConfig(raw: unknown, where = 'config.json'): ModelConfig {
  const modelType = (raw as { model_type?: unknown } | null)?.model_type
  const architecture =
    typeof modelType === 'string' && architectureNames().includes(modelType) ? architectureOf(modelType) : undefined
  const result = rawSchema.safeParse(
    typeof raw === 'object' && raw !== null ? { ...architecture?.defaults, ...raw } : raw,
  )
  if (!result.success) {
    const issues = result.error.issues.map((issue) => `"${issue.path.join('.')}": ${issue.message}`).join('; ')
    throw new TunesmithError(`Not a usable model configuration: ${issues}`, { code: 'invalid_file', where })
  }
  const c = result.data
  if (!architecture)
    throw new TunesmithError(`The model type "${c.model_type}" is not supported`, {
      code: 'unsupported',
      where,
      remedy: `Supported are ${architectureNames().join(', ')}; docs/contributing/new-architecture.md shows how to add another`,
    })
  const act = c.hidden_activation ?? c.hidden_act ?? 'silu'
  const hiddenAct = ACTIVATIONS[act]
  if (!hiddenAct)
    throw new TunesmithError(`The activation "${act}" is not supported`, {
      code: 'unsupported',
      where,
      remedy: `Supported are ${Object.keys(ACTIVATIONS).join(', ')}`,
    })
  const headDim = c.head_dim ?? c.hidden_size / c.num_attention_heads
  const numKeyValueHeads = c.num_key_value_heads ?? c.num_attention_heads
  if (!Number.isInteger(headDim) || c.num_attention_heads % numKeyValueHeads !== 0)
    throw new TunesmithError('The attention heads do not divide evenly', { code: 'invalid_file', where })
  const eos = c.eos_token_id
  return {
    modelType: c.model_type,
    vocabSize: c.vocab_size,
    hiddenSize: c.hidden_size,
    intermediateSize: c.intermediate_size,
    numHiddenLayers: c.num_hidden_layers,
    numAttentionHeads: c.num_attention_heads,
    numKeyValueHeads,
    headDim,
    maxPositionEmbeddings: c.max_position_embeddings,
    rmsNormEps: c.rms_norm_eps,
    hiddenAct,
    rope: ropeConfig(c, headDim, where),
    windows: architecture.usesWindow ? windowsOf(c) : new Array<number>(c.num_hidden_layers).fill(0),
    attentionScale: (c.query_pre_attn_scalar ?? headDim) ** -0.5,
    attentionSoftcap: c.attn_logit_softcapping ?? 0,
    logitSoftcap: c.final_logit_softcapping ?? 0,
    tieWordEmbeddings: c.tie_word_embeddings,
    attentionBias: c.attention_bias,
    mlpBias: c.mlp_bias,
    initializerRange: c.initializer_range,
    bosTokenId: c.bos_token_id ?? undefined,
    eosTokenIds: Array.isArray(eos) ? eos : eos === null || eos === undefined ? [] : [eos],
    padTokenId: c.pad_token_id ?? undefined,
    dtype: c.dtype ?? c.torch_dtype ?? undefined,
    raw: raw as Record<string, unknown>,
  }
}
