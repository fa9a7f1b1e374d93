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

type Value = WeightMatrix | tf.Tensor

/** The weight or bias of a module. */
interface Slot {
  holder: { weight: unknown; bias?: unknown }
  field: 'weight' | 'bias'
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
    readonly slots: readonly Slot[],
    /** PEFT trains it in its place instead: it adds nothing to the number of parameters. */
    readonly inPlace: boolean,
  ) {}

  /** Puts the copy in its place. */
  install(): void {
    const isMatrix = !(this.slots[0]!.holder[this.slots[0]!.field] instanceof tf.Tensor)
    const value = isMatrix ? denseWeight(this.variable as tf.Variable<tf.Rank.R2>) : this.variable
    this.#originals = this.slots.map(({ holder, field }) => holder[field] as Value)
    for (const { holder, field } of this.slots) holder[field] = value
  }

  /** Puts the base model's own back. */
  restore(): void {
    for (const [i, { holder, field }] of this.slots.entries()) holder[field] = this.#originals[i]
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

function copyFor(key: string, slots: readonly Slot[], inPlace = false): TrainedCopy {
  const { holder, field } = slots[0]!
  return new TrainedCopy(`${key}.${field}`, copyOf(holder[field] as Value), slots, inPlace)
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
      const holders = module instanceof EmbeddingModule ? [module, ...tiedHead] : [module]
      copies.push(
        copyFor(
          key,
          holders.map((holder) => ({ holder, field: 'weight' })),
        ),
      )
      if (module instanceof LinearModule && module.bias) copies.push(copyFor(key, [{ holder: module, field: 'bias' }]))
    }
  }
  if (bias === 'none') return copies
  for (const module of model.linears.values()) {
    const targeted = targets.includes(module)
    if (!module.bias || saved.has(module) || (bias !== 'all' && !targeted)) continue
    const key = `${prefix}${module.name}${targeted ? '.base_layer' : ''}`
    copies.push(copyFor(key, [{ holder: module, field: 'bias' }], true))
  }
  return copies
}
