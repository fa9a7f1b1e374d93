import type * as tf from '@tensorflow/tfjs-core'
import { disposeWeight } from '@tunesmith/backend'
import { architectureOf } from './architectures'
import type { DecoderLayer } from './architectures/architecture'
import type { ModelConfig } from './model-config'
import { EmbeddingModule, LinearModule, NormModule } from './modules'
import type { Pass } from './pass'
import type { WeightSource } from './weight-source'

/** The parts of a model that have weights. Names are those of the checkpoint without `.weight`. */
export interface Modules {
  readonly embedTokens: EmbeddingModule
  /** Those of the decoder layers in their order, and the head last. */
  readonly linears: Map<string, LinearModule>
  readonly norms: Map<string, NormModule>
  readonly lmHead: LinearModule
}

/** Makes the modules that a configuration asks for, with weights out of a checkpoint or fresh ones. */
export function buildModules(config: ModelConfig, source: WeightSource): Modules {
  const architecture = architectureOf(config.modelType)
  const { hiddenSize, vocabSize, numHiddenLayers, rmsNormEps, tieWordEmbeddings } = config
  const linears = new Map<string, LinearModule>()
  const norms = new Map<string, NormModule>()
  const addLinear = (name: string, weight: LinearModule['weight'], bias?: tf.Tensor1D) => {
    const module = new LinearModule(name, weight, bias)
    linears.set(name, module)
    return module
  }
  const addNorm = (name: string, size: number) => {
    const weight = source.vector(`${name}.weight`, size)
    norms.set(name, new NormModule(name, weight, rmsNormEps, architecture.normOffset ?? 0))
  }
  const embeddings = source.matrix('model.embed_tokens.weight', vocabSize, hiddenSize)
  for (let i = 0; i < numHiddenLayers; i++) {
    const prefix = `model.layers.${i}.`
    for (const [name, { inFeatures, outFeatures, bias }] of Object.entries(architecture.linears(config))) {
      const weight = source.matrix(`${prefix}${name}.weight`, outFeatures, inFeatures)
      addLinear(prefix + name, weight, bias ? source.vector(`${prefix}${name}.bias`, outFeatures) : undefined)
    }
    for (const [name, size] of Object.entries(architecture.norms(config))) addNorm(prefix + name, size)
  }
  addNorm('model.norm', hiddenSize)
  const head = tieWordEmbeddings ? embeddings : source.matrix('lm_head.weight', vocabSize, hiddenSize)
  return {
    embedTokens: new EmbeddingModule('model.embed_tokens', embeddings),
    linears,
    norms,
    lmHead: addLinear('lm_head', head),
  }
}

export type LayerModules = Pick<Modules, 'linears' | 'norms'>

/** The modules with the weights and adapters they have now, whatever is attached to the model's own afterwards. */
export function modulesNow({ linears, norms }: LayerModules): LayerModules {
  const copies = <Module extends object>(modules: ReadonlyMap<string, Module>) =>
    new Map(
      [...modules].map(([name, module]) => [
        name,
        Object.assign(Object.create(Object.getPrototypeOf(module)) as Module, module),
      ]),
    )
  return { linears: copies(linears), norms: copies(norms) }
}

/** A decoder layer as its architecture's block sees it during one pass. */
export function decoderLayer(
  config: ModelConfig,
  { linears, norms }: LayerModules,
  index: number,
  pass: Pass,
): DecoderLayer {
  const nameOf = (name: string) => `model.layers.${index}.${name}`
  return {
    index,
    config,
    hasNorm: (name) => norms.has(nameOf(name)),
    linear: (name, x) => linears.get(nameOf(name))!.forward(x, pass),
    norm: (name, x) => norms.get(nameOf(name))!.forward(x),
  }
}

export function disposeModules({ embedTokens, linears, norms }: Modules): void {
  for (const { weight, bias } of linears.values()) {
    disposeWeight(weight)
    bias?.dispose()
  }
  disposeWeight(embedTokens.weight)
  for (const { weight } of norms.values()) weight.dispose()
}
