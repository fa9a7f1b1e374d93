import * as tf from '@tensorflow/tfjs-core'
import { denseWeight, dequantize, disposeWeight, type WeightMatrix, withoutRecording } from '@tunesmith/backend'
import { invalidOptions } from '@tunesmith/core'
import { type CausalLM, EmbeddingModule, LinearModule, type NormModule } from '@tunesmith/models'
import { z } from 'zod'
import type { AdaptableModule, AdapterConfig } from './adapter'
import { suffixesOf } from './target-modules'

/** The option of adapters that may train whole modules; spread into a schema. */
export const modulesToSaveOption = {
  /** Modules that are trained whole beside the adapter, as float32 copies: suffixes like `lm_head`, `embed_tokens`. */
  modulesToSave: z.array(z.string()).optional(),
  /** Where head and embeddings are one matrix, what is trained of one is trained of the other: copies, and LoRA. Default false. */
  ensureWeightTying: z.boolean().default(false),
}

type AnyModule = LinearModule | EmbeddingModule | NormModule

type Value = WeightMatrix | tf.Tensor

/** A module, as far as its weight and bias go. */
interface Holder {
  weight: unknown
  bias?: unknown
}

/** A weight or bias that an adapter trains as a copy of its own; the base model's stays as it is. */
export class TrainedCopy {
  /** It has become the model's own. */
  kept = false
  #originals: Value[] = []

  constructor(
    /** Key in the file. */
    readonly key: string,
    readonly variable: tf.Variable,
    /** Where it goes: a tied weight has two places. */
    private readonly holders: readonly Holder[],
    private readonly field: 'weight' | 'bias',
    /** Keys in the file of the other places. */
    readonly aliases: readonly string[],
    /** PEFT trains it in its place instead: it adds nothing to the number of parameters. */
    readonly inPlace: boolean,
  ) {}

  /** Puts the copy in its place. */
  install(): void {
    this.#originals = this.holders.map((holder) => holder[this.field] as Value)
    const isMatrix = !(this.#originals[0] instanceof tf.Tensor)
    const value = isMatrix ? denseWeight(this.variable as tf.Variable<tf.Rank.R2>) : this.variable
    for (const holder of this.holders) holder[this.field] = value
  }

  /** Puts the base model's own back. */
  restore(): void {
    for (const [i, holder] of this.holders.entries()) holder[this.field] = this.#originals[i]
  }

  /** Leaves an installed copy in its place for good, and releases what was there unless it is used elsewhere. */
  keep(isUsed: (value: Value) => boolean): void {
    this.kept = true
    for (const original of new Set(this.#originals)) {
      if (isUsed(original)) continue
      if (original instanceof tf.Tensor) original.dispose()
      else disposeWeight(original)
    }
  }
}

/** A float32 variable with the values of a weight. Weights without values (sizes only) give zeros. */
function copyOf(value: Value): tf.Variable {
  return withoutRecording(() =>
    tf.tidy(() => {
      if (value instanceof tf.Tensor) return tf.variable(tf.clone(value))
      return tf.variable(value.weight ? tf.clone(dequantize(value)) : tf.zeros([value.outFeatures, value.inFeatures]))
    }),
  )
}

/** The name of a module and those of the modules around it. */
const withContainers = (name: string): string[] => name.split('.').map((_, i, parts) => parts.slice(0, i + 1).join('.'))

interface CopyOptions {
  aliases?: readonly string[]
  inPlace?: boolean
}

function copyFor(
  key: string,
  holders: readonly Holder[],
  field: 'weight' | 'bias',
  { aliases = [], inPlace = false }: CopyOptions = {},
): TrainedCopy {
  const variable = copyOf(holders[0]![field] as Value)
  return new TrainedCopy(
    `${key}.${field}`,
    variable,
    holders,
    field,
    aliases.map((alias) => `${alias}.${field}`),
    inPlace,
  )
}

/**
 * The copies that `modulesToSave` and `bias` ask for.
 *
 * @param prefix of their keys. PEFT has one `model.` less where the model itself gets no layers, as in prompt tuning.
 */
export function trainedCopies(
  model: CausalLM,
  { modulesToSave = [], bias = 'none', ensureWeightTying = false }: AdapterConfig,
  targets: readonly AdaptableModule[],
  prefix = 'base_model.model.',
): TrainedCopy[] {
  const copies: TrainedCopy[] = []
  const saved = new Set<AnyModule>()
  const modules: AnyModule[] = [model.embedTokens, ...model.linears.values(), ...model.norms.values()]
  const tiedHead = model.config.tieWordEmbeddings && ensureWeightTying ? [model.lmHead] : []
  // A tied head is the embeddings, under whichever name it is asked for.
  const ownerOf = (module: AnyModule) => (tiedHead.some((head) => head === module) ? model.embedTokens : module)
  for (const wanted of modulesToSave) {
    // PEFT's rule: any end of the name will do, so `norm` means all the norms, and `mlp` all that is in one.
    const found = modules.filter(({ name }) => withContainers(name).some((part) => part.endsWith(wanted)))
    if (found.length === 0)
      throw invalidOptions(`No module is named ${wanted}`, {
        where: 'modulesToSave',
        remedy: `There are ${suffixesOf(modules).join(', ')}`,
      })
    for (const module of found.map(ownerOf)) {
      if (saved.has(module)) continue
      saved.add(module)
      const key = `${prefix}${module.name}`
      const others = module instanceof EmbeddingModule ? tiedHead : []
      const aliases = others.map(({ name }) => `${prefix}${name}`)
      copies.push(copyFor(key, [module, ...others], 'weight', { aliases }))
      if (module instanceof LinearModule && module.bias) copies.push(copyFor(key, [module], 'bias'))
    }
  }
  if (bias === 'none') return copies
  for (const module of model.linears.values()) {
    const targeted = targets.includes(module)
    if (!module.bias || saved.has(module) || (bias !== 'all' && !targeted)) continue
    const key = `${prefix}${module.name}${targeted ? '.base_layer' : ''}`
    copies.push(copyFor(key, [module], 'bias', { inPlace: true }))
  }
  return copies
}
