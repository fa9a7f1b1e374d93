import * as tf from '@tensorflow/tfjs-core'
import { denseWeight, dequantize, disposeWeight, type WeightMatrix, withoutRecording } from '@tunesmith/backend'
import { TunesmithError } from '@tunesmith/core'
import { type CausalLM, EmbeddingModule, LinearModule, type NormModule } from '@tunesmith/models'
import { z } from 'zod'
import type { AdaptableModule, AdapterConfig } from './adapter'

/** The option of adapters that may train whole modules; spread into a schema. */
export const modulesToSaveOption = {
  /** Modules that are trained whole beside the adapter, as float32 copies: suffixes like `lm_head`, `embed_tokens`. */
  modulesToSave: z.array(z.string()).optional(),
  /** A copy of the embeddings is the tied head's copy too. Default false. */
  ensureWeightTying: z.boolean().default(false),
}

type AnyModule = LinearModule | EmbeddingModule | NormModule

/** A weight or bias that an adapter trains as a copy of its own; the base model's stays as it is. */
export class TrainedCopy {
  /** It has become the model's own. */
  kept = false
  readonly #slots: Slot[]

  constructor(
    readonly module: AnyModule,
    /** Key in the file. */
    readonly key: string,
    readonly variable: tf.Variable,
    slots: readonly { get(): Value; set(value: Value): void }[],
    readonly value: Value,
    /** PEFT trains it in its place instead: it adds nothing to the number of parameters. */
    readonly inPlace: boolean,
  ) {
    this.#slots = slots.map((slot) => ({ ...slot, original: undefined }))
  }

  /** Puts the copy in its place. */
  install(): void {
    for (const slot of this.#slots) {
      slot.original = slot.get()
      slot.set(this.value)
    }
  }

  /** Puts the base model's own back. */
  restore(): void {
    for (const slot of this.#slots) slot.set(slot.original!)
  }

  /** Leaves an installed copy in its place for good, and releases what was there unless it is used elsewhere. */
  keep(isUsed: (value: Value) => boolean): void {
    this.kept = true
    for (const original of new Set(this.#slots.map((slot) => slot.original!))) {
      if (isUsed(original)) continue
      if (original instanceof tf.Tensor) original.dispose()
      else disposeWeight(original)
    }
  }
}

type Value = WeightMatrix | tf.Tensor
type Slot = { get(): Value; set(value: Value): void; original: Value | undefined }

/** A dense float32 variable with the values of a weight. Weights without values (sizes only) give zeros. */
function copyOf(weight: WeightMatrix): tf.Variable<tf.Rank.R2> {
  return withoutRecording(() =>
    tf.tidy(() => {
      const values = weight.weight ? tf.clone(dequantize(weight)) : tf.zeros([weight.outFeatures, weight.inFeatures])
      return tf.variable(values as tf.Tensor2D)
    }),
  )
}

const weightSlot = (module: LinearModule | EmbeddingModule) => ({
  get: () => module.weight,
  set: (value: Value) => {
    module.weight = value as WeightMatrix
  },
})

function weightCopy(module: LinearModule | EmbeddingModule, key: string, tied: LinearModule[] = []): TrainedCopy {
  const variable = copyOf(module.weight)
  return new TrainedCopy(module, key, variable, [module, ...tied].map(weightSlot), denseWeight(variable), false)
}

function vectorCopy<Field extends 'weight' | 'bias'>(
  module: AnyModule & { [key in Field]: tf.Tensor1D | undefined },
  field: Field,
  key: string,
  inPlace: boolean,
): TrainedCopy {
  const holder: { [key in Field]: tf.Tensor1D | undefined } = module
  const variable = withoutRecording(() => tf.tidy(() => tf.variable(tf.clone(holder[field]!))))
  const slot = {
    get: () => holder[field]!,
    set: (value: Value) => {
      holder[field] = value as tf.Tensor1D as (typeof holder)[Field]
    },
  }
  return new TrainedCopy(module, key, variable, [slot], variable, inPlace)
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
  for (const wanted of modulesToSave) {
    // PEFT's rule: any end of the name will do, so `norm` means all the norms.
    const found = modules.filter(({ name }) => name.endsWith(wanted))
    if (found.length === 0)
      throw new TunesmithError(`No module is named ${wanted}`, {
        code: 'invalid_options',
        where: 'modulesToSave',
        remedy: `There are ${[...new Set(modules.map(({ name }) => name.slice(name.lastIndexOf('.') + 1)))].join(', ')}`,
      })
    for (const module of found) {
      if (saved.has(module)) continue
      saved.add(module)
      const key = `${prefix}${module.name}`
      if (module instanceof LinearModule) {
        copies.push(weightCopy(module, `${key}.weight`))
        if (module.bias) copies.push(vectorCopy(module, 'bias', `${key}.bias`, false))
      } else if (module instanceof EmbeddingModule) copies.push(weightCopy(module, `${key}.weight`, tiedHead))
      else copies.push(vectorCopy(module as NormModule & { bias: undefined }, 'weight', `${key}.weight`, false))
    }
  }
  if (bias === 'none') return copies
  for (const module of model.linears.values()) {
    const targeted = targets.includes(module)
    if (!module.bias || saved.has(module) || (bias !== 'all' && !targeted)) continue
    copies.push(vectorCopy(module, 'bias', `${prefix}${module.name}${targeted ? '.base_layer' : ''}.bias`, true))
  }
  return copies
}
