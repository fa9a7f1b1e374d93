import * as tf from '@tensorflow/tfjs-core'
import { disposeWeight } from '@tunesmith/backend'
import { architectureOf } from './architectures'
import type { DecoderLayer, NormShape } from './architectures/architecture'
import type { ModelConfig } from './model-config'
import { EmbeddingModule, ExpertsModule, LinearModule, NormModule } from './modules'
import type { Pass } from './pass'
import type { WeightSource } from './weight-source'

/** The parts of a model that have weights. Names are those of the checkpoint without `.weight`. */
export interface Modules {
  readonly embedTokens: EmbeddingModule
  /** Learned position embeddings, where the family has them instead of rotary ones. */
  readonly embedPositions: EmbeddingModule | undefined
  /** Those of the decoder layers in their order, and the head last. */
  readonly linears: Map<string, LinearModule>
  readonly norms: Map<string, NormModule>
  readonly experts: Map<string, ExpertsModule>
  readonly lmHead: LinearModule
}

/** Makes the modules that a configuration asks for, with weights out of a checkpoint or fresh ones. */
export function buildModules(config: ModelConfig, source: WeightSource): Modules {
  const architecture = architectureOf(config.modelType)
  const { hiddenSize, vocabSize, maxPositionEmbeddings, rmsNormEps, tieWordEmbeddings, names } = config
  const linears = new Map<string, LinearModule>()
  const norms = new Map<string, NormModule>()
  const experts = new Map<string, ExpertsModule>()
  const addLinear = (name: string, weight: LinearModule['weight'], bias?: tf.Tensor1D, isParameter?: boolean) => {
    const module = new LinearModule(name, weight, bias, isParameter)
    linears.set(name, module)
    return module
  }
  const addNorm = (name: string, shape: number | NormShape) => {
    const own = typeof shape === 'number' ? { size: shape } : shape
    const { size, kind, bias, offset = 0 } = { ...architecture.norm, ...own }
    const weight = source.vector(`${name}.weight`, size)
    const added = bias ? source.vector(`${name}.bias`, size) : undefined
    norms.set(name, new NormModule(name, weight, rmsNormEps, offset, kind, added))
  }
  const embeddings = source.matrix(`${names.embeddings}.weight`, vocabSize, hiddenSize)
  const positions =
    names.positions === undefined
      ? undefined
      : new EmbeddingModule(
          names.positions,
          source.matrix(`${names.positions}.weight`, maxPositionEmbeddings, hiddenSize),
        )
  for (const layer of config.layers) {
    const prefix = `${names.layers}.${layer.index}.`
    for (const [name, shape] of Object.entries(architecture.linears(config, layer))) {
      const { inFeatures, outFeatures, bias, isParameter } = shape
      const weight = source.matrix(`${prefix}${name}.weight`, outFeatures, inFeatures)
      const added = bias ? source.vector(`${prefix}${name}.bias`, outFeatures) : undefined
      addLinear(prefix + name, weight, added, isParameter)
    }
    for (const [name, { count, outFeatures, inFeatures }] of Object.entries(
      architecture.experts?.(config, layer) ?? {},
    )) {
      const each = () =>
        Array.from({ length: count }, (_, e) => source.matrix(`${prefix}${name}.${e}`, outFeatures, inFeatures))
      const weights = source.stack?.(prefix + name, [count, outFeatures, inFeatures]) ?? each()
      experts.set(prefix + name, new ExpertsModule(prefix + name, weights))
    }
    for (const [name, shape] of Object.entries(architecture.norms(config, layer))) addNorm(prefix + name, shape)
  }
  addNorm(names.norm, hiddenSize)
  const head = tieWordEmbeddings ? embeddings : source.matrix(`${names.head}.weight`, vocabSize, hiddenSize)
  return {
    embedTokens: new EmbeddingModule(names.embeddings, embeddings),
    embedPositions: positions,
    linears,
    norms,
    experts,
    lmHead: addLinear(names.head, head),
  }
}

export type LayerModules = Pick<Modules, 'linears' | 'norms' | 'experts'>

/** The modules with the weights and adapters they have now, whatever is attached to the model's own afterwards. */
export function modulesNow({ linears, norms, experts }: LayerModules): LayerModules {
  const copies = <Module extends object>(modules: ReadonlyMap<string, Module>) =>
    new Map(
      [...modules].map(([name, module]) => [
        name,
        Object.assign(Object.create(Object.getPrototypeOf(module)) as Module, module),
      ]),
    )
  return { linears: copies(linears), norms: copies(norms), experts }
}

/** A decoder layer as its architecture's block sees it during one pass. */
export function decoderLayer(
  config: ModelConfig,
  { linears, norms, experts }: LayerModules,
  index: number,
  pass: Pass,
): DecoderLayer {
  const nameOf = (name: string) => `${config.names.layers}.${index}.${name}`
  return {
    ...config.layers[index]!,
    config,
    experts: (name) => experts.get(nameOf(name))!.weights,
    hasNorm: (name) => norms.has(nameOf(name)),
    linear: (name, x) => linears.get(nameOf(name))!.forward(x, pass),
    norm: (name, x) => norms.get(nameOf(name))!.forward(x),
  }
}

export function disposeModules({ embedTokens, embedPositions, linears, norms, experts }: Modules): void {
  for (const { weights } of experts.values()) weights.forEach(disposeWeight)
  for (const { weight, bias } of linears.values()) {
    disposeWeight(weight)
    bias?.dispose()
  }
  disposeWeight(embedTokens.weight)
  if (embedPositions) disposeWeight(embedPositions.weight)
  for (const { weight, bias } of norms.values()) tf.dispose([weight, ...(bias ? [bias] : [])])
}
