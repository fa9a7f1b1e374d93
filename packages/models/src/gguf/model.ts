import type { WeightMatrix } from '@tunesmith/backend'
import { unsupported } from '@tunesmith/core'
import { architectureOf } from '../architectures'
import type { CausalLM } from '../causal-lm'
import type { ModelConfig } from '../model-config'
import { inverseFrequencies } from '../rope'
import { rowPieces } from '../save-pretrained'
import type { GgufLayout } from './layout'
import { type GgufFileType, matrixTypes } from './mix'
import { f32, type GgufValue, string, u32 } from './values'
import type { GgufTensor } from './write'

/** @throws {TunesmithError} `unsupported` for a family that llama.cpp or its description here does not know. */
export function layoutOf({ config }: CausalLM): GgufLayout {
  const { gguf } = architectureOf(config.modelType)
  if (gguf) return gguf
  throw unsupported(`There is no GGUF layout for models of the type "${config.modelType}"`, {
    remedy: "Export safetensors, or give the architecture a `gguf` with llama.cpp's names",
  })
}

/** The configuration as llama.cpp names it. */
export function modelMetadata(config: ModelConfig, layout: GgufLayout): Map<string, GgufValue> {
  const { rope, layers } = config
  const metadata = new Map<string, GgufValue>([['general.architecture', string(layout.architecture)]])
  const set = (key: string, value: GgufValue) => metadata.set(`${layout.architecture}.${key}`, value)
  set('block_count', u32(config.numHiddenLayers))
  set('context_length', u32(config.maxPositionEmbeddings))
  set('embedding_length', u32(config.hiddenSize))
  set('feed_forward_length', u32(config.intermediateSize))
  set('vocab_size', u32(config.vocabSize))
  set('attention.head_count', u32(config.numAttentionHeads))
  set('attention.head_count_kv', u32(config.numKeyValueHeads))
  set('attention.key_length', u32(config.headDim))
  set('attention.value_length', u32(config.headDim))
  const isLayerNorm = architectureOf(config.modelType).norm?.kind === 'layer'
  set(isLayerNorm ? 'attention.layer_norm_epsilon' : 'attention.layer_norm_rms_epsilon', f32(config.rmsNormEps))
  set('rope.dimension_count', u32(rope.rotaryDim))
  set('rope.freq_base', f32(rope.theta))
  if (rope.type === 'linear' || rope.type === 'yarn') {
    set('rope.scaling.type', string(rope.type))
    set('rope.scaling.factor', f32(rope.factor))
    set('rope.scaling.original_context_length', u32(rope.originalMaxPositionEmbeddings))
  }
  if (rope.type === 'yarn') {
    set('rope.scaling.yarn_beta_fast', f32(rope.betaFast))
    set('rope.scaling.yarn_beta_slow', f32(rope.betaSlow))
    // llama.cpp multiplies this by 1 + 0.1 ln(factor), which is the usual value of the whole.
    set('rope.scaling.attn_factor', f32(rope.attentionFactor / (1 + 0.1 * Math.log(rope.factor))))
  }
  if (layout.slidingWindow) set('attention.sliding_window', u32(Math.max(0, ...layers.map(({ window }) => window))))
  for (const [key, value] of Object.entries(layout.metadata?.(config) ?? {})) set(key, value)
  return metadata
}

/** What llama.cpp will do differently, a sentence each. @throws {TunesmithError} `unsupported` for what it cannot do at all. */
export function exportNotes({ config }: CausalLM, layout: GgufLayout): string[] {
  if (config.rope.type === 'dynamic')
    throw unsupported('llama.cpp has no rotary scaling of the type "dynamic"', { remedy: 'Export safetensors instead' })
  if (config.rope.type === 'yarn' && !config.rope.truncate)
    throw unsupported('llama.cpp rounds the bounds of YaRN, which this model does not ("truncate": false)', {
      remedy: 'Export safetensors instead',
    })
  if (config.rope.type === 'longrope' || config.rope.type === 'proportional' || config.rope.queryScalingBeta > 0)
    throw unsupported('The rotary positions of this model are not written for llama.cpp', {
      remedy: 'Export safetensors instead',
    })
  if (config.layers.some(({ rope }) => rope !== config.rope) && !config.names.positions && !layout.layerRopes?.(config))
    throw unsupported('llama.cpp has other rotary positions in the layers of this family', {
      remedy: 'Export safetensors instead',
    })
  const window = config.layers.reduce((most, one) => Math.max(most, one.window), 0)
  if (window === 0 || window >= config.maxPositionEmbeddings || layout.slidingWindow) return []
  return [`llama.cpp reads all keys where this model looks at the last ${window}: answers differ in longer texts`]
}

/** Rows of heads from halves (0 .. d/2, d/2 .. d) to neighbouring pairs, as llama.cpp's rotation has them. */
function interleave(values: Float32Array, headDim: number, columns: number): Float32Array {
  const result = new Float32Array(values.length)
  const half = headDim / 2
  for (let row = 0; row < values.length / columns; row++) {
    const within = row % headDim
    const to = row - within + (within < half ? 2 * within : 2 * (within - half) + 1)
    result.set(values.subarray(row * columns, (row + 1) * columns), to * columns)
  }
  return result
}

/** A model's matrices in llama.cpp: their names, and what it wants otherwise. */
export interface GgufMatrices {
  /** llama.cpp's name of a module, without `.weight`. @throws {TunesmithError} `unsupported` for one that it does not know. */
  nameOf(module: string): string
  /** Rotation's order of rows and a scale that llama.cpp does not know, for queries and keys; whole heads, of `columns` numbers a row. */
  adapt(module: string, values: Float32Array, columns: number): Float32Array
  /** That scale for a query norm, behind which a scale of the product would be undone. */
  adaptNorm(module: string, values: Float32Array): Float32Array
}

export function ggufMatrices(model: CausalLM, layout: GgufLayout): GgufMatrices {
  const { config } = model
  const { names } = config
  const queryScale = config.attentionScale / (layout.attentionScale?.(config) ?? config.headDim ** -0.5)
  const outer: Record<string, string> = {
    [names.embeddings]: 'token_embd',
    [names.norm]: 'output_norm',
    [names.head]: 'output',
    ...(names.positions && { [names.positions]: 'position_embd' }),
  }
  const hasQueryNorm = [...model.norms.keys()].some((name) => name.endsWith('.q_norm'))
  const scaleQueries = (values: Float32Array) =>
    Math.abs(queryScale - 1) > 1e-12 ? values.map((value) => value * queryScale) : values
  return {
    nameOf(module) {
      const inLayer = module.startsWith(`${names.layers}.`) ? module.slice(names.layers.length + 1) : ''
      const [, layer, part] = /^(\d+)\.(.+)$/.exec(inLayer) ?? []
      const name = part === undefined ? outer[module] : layout.modules[part]
      if (name === undefined) throw unsupported(`llama.cpp's name of ${module} is not known`, { where: module })
      return part === undefined ? name : `blk.${layer}.${name}`
    },
    adapt(module, values, columns) {
      const isQuery = module.endsWith('.q_proj')
      const scaled = isQuery && !hasQueryNorm ? scaleQueries(values) : values
      const rotates = layout.interleavedRotary && (isQuery || module.endsWith('.k_proj'))
      return rotates ? interleave(scaled, config.headDim, columns) : scaled
    },
    adaptNorm: (module, values) => (module.endsWith('.q_norm') ? scaleQueries(values) : values),
  }
}

/** The tensors of a model under llama.cpp's names and in its layout; values are made when they are asked for. */
export function modelTensors(model: CausalLM, layout: GgufLayout, file: GgufFileType): GgufTensor[] {
  const { config } = model
  const { names } = config
  const { nameOf, adapt, adaptNorm } = ggufMatrices(model, layout)
  const tensors: GgufTensor[] = []
  const matrices: { name: string; module: string; weight: WeightMatrix }[] = []
  const matrix = (module: string, weight: WeightMatrix) => matrices.push({ name: nameOf(module), module, weight })
  const vector = (name: string, size: number, values: () => Float32Array) =>
    tensors.push({ name, type: 'f32', shape: [size], values: () => [values()] })

  matrix(model.embedTokens.name, model.embedTokens.weight)
  if (model.embedPositions) matrix(model.embedPositions.name, model.embedPositions.weight)
  for (const { name, weight, bias } of model.linears.values()) {
    if (name === names.head) {
      if (!config.tieWordEmbeddings) matrix(name, weight)
      continue
    }
    matrix(name, weight)
    if (bias) vector(`${nameOf(name)}.bias`, bias.size, () => adapt(name, bias.dataSync() as Float32Array, 1))
  }
  const types = matrixTypes(
    matrices.map(({ name, weight }) => ({ name, columns: weight.inFeatures })),
    file,
    {
      layers: config.numHiddenLayers,
      groups: config.numAttentionHeads / config.numKeyValueHeads,
      tied: config.tieWordEmbeddings,
    },
  )
  for (const [i, { name, module, weight }] of matrices.entries())
    tensors.push({
      name: `${name}.weight`,
      type: types[i]!,
      shape: [weight.outFeatures, weight.inFeatures],
      // Pieces are whole heads.
      *values() {
        for (const piece of rowPieces(weight, config.headDim)) yield adapt(module, piece, weight.inFeatures)
      },
    })
  for (const { name, weight, bias, offset } of model.norms.values()) {
    const stored = () => weight.dataSync<'float32'>().map((value) => value + offset)
    const values = () => adaptNorm(name, stored())
    vector(`${nameOf(name)}.weight`, weight.size, values)
    if (bias) vector(`${nameOf(name)}.bias`, bias.size, () => bias.dataSync() as Float32Array)
  }
  if (config.rope.type === 'llama3') {
    const plain = inverseFrequencies({ ...config.rope, type: 'default' }, 1)
    const scaled = inverseFrequencies(config.rope, 1)
    vector('rope_freqs.weight', plain.length, () => plain.map((frequency, i) => frequency / scaled[i]!))
  }
  return tensors
}
