import * as tf from '@tensorflow/tfjs-core'
import { denseWeight, dequantize, disposeWeight, type WeightMatrix, withoutRecording } from '@tunesmith/backend'
import { notFound, unsupported } from '@tunesmith/core'
import type { CausalLM } from './causal-lm'
import { LinearModule } from './modules'

function trainableMatrix(weight: WeightMatrix): WeightMatrix {
  if (weight.weight instanceof tf.Variable) return weight
  const dense = withoutRecording(() => tf.tidy(() => tf.variable(dequantize(weight))))
  disposeWeight(weight)
  return denseWeight(dense)
}

function trainableVector(vector: tf.Tensor1D): tf.Variable<tf.Rank.R1> {
  if (vector instanceof tf.Variable) return vector as tf.Variable<tf.Rank.R1>
  const variable = withoutRecording(() => tf.variable(vector))
  vector.dispose()
  return variable
}

/**
 * Turns base weights into trainable float32 variables: full fine-tuning, or a part of it.
 *
 * @param modules module names to train (`model.layers.0.self_attn.q_proj`, `model.norm`); a suffix is enough
 *   (`q_proj`). Default: everything.
 * @returns the variables by parameter name (`model.norm.weight`), in the model's order.
 * @throws {TunesmithError} `not_found` when a name matches no module.
 */
export function makeTrainable(model: CausalLM, modules?: readonly string[]): Map<string, tf.Variable> {
  const used = new Set<string>()
  const wanted = (name: string) => {
    if (!modules) return true
    const match = modules.find((module) => name === module || name.endsWith(`.${module}`))
    if (match !== undefined) used.add(match)
    return match !== undefined
  }
  const parameters = new Map<string, tf.Variable>()
  const { embedTokens, lmHead } = model
  const tied = lmHead.weight === embedTokens.weight
  const { embedPositions: positions } = model
  for (const module of [embedTokens, ...(positions ? [positions] : []), ...model.linears.values()]) {
    if (!wanted(module.name)) continue
    if (module === lmHead && tied) {
      if (!parameters.has(`${embedTokens.name}.weight`))
        throw unsupported('lm_head shares its weight with the embeddings and cannot be trained alone', {
          where: 'lm_head',
          remedy: 'Train embed_tokens, which trains both',
        })
      continue
    }
    module.weight = trainableMatrix(module.weight)
    if (module === embedTokens && tied) lmHead.weight = module.weight
    parameters.set(`${module.name}.weight`, module.weight.weight as tf.Variable)
    if (!(module instanceof LinearModule) || !module.bias) continue
    const bias = trainableVector(module.bias)
    module.bias = bias
    parameters.set(`${module.name}.bias`, bias)
  }
  for (const { name, weights } of model.experts.values()) {
    if (!wanted(name)) continue
    for (const [e, weight] of weights.entries()) {
      weights[e] = trainableMatrix(weight)
      parameters.set(`${name}.${e}`, weights[e].weight as tf.Variable)
    }
  }
  for (const module of model.norms.values()) {
    if (!wanted(module.name)) continue
    module.weight = trainableVector(module.weight)
    parameters.set(`${module.name}.weight`, module.weight as tf.Variable)
    if (!module.bias) continue
    module.bias = trainableVector(module.bias)
    parameters.set(`${module.name}.bias`, module.bias as tf.Variable)
  }
  const unknown = modules?.filter((module) => !used.has(module)) ?? []
  if (unknown.length > 0)
    throw notFound(`No module is named ${unknown.join(', ')}`, {
      remedy: `Modules are named like ${[...model.linears.keys()].slice(0, 3).join(', ')}`,
    })
  return parameters
}
