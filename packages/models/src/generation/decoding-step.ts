import type * as tf from '@tensorflow/tfjs-core'
import { type CompiledStep, compileStep, rotaryTables, type StepInput } from '@tunesmith/backend'
import type { CausalLM } from '../causal-lm'
import type { CacheTensors, KvCache } from '../kv-cache'
import { createPass } from '../pass'
import { inverseFrequencies } from '../rope'
import { StepContext } from '../step-context'

const INPUTS = ['ids', 'cos', 'sin', 'cuSeqlens', 'rows', 'kvStart', 'kvLength'] as const
type Input = (typeof INPUTS)[number]

/**
 * One more token of each unfinished sequence, again and again: a step whose shapes depend only on how many sequences there
 * are, so that a backend which can captures it (`compileStep`).
 */
export class DecodingStep {
  readonly #model: CausalLM
  readonly #cache: KvCache
  readonly #names: readonly string[] | undefined
  readonly #frequencies: Float32Array | undefined
  #step: CompiledStep<Input> | undefined
  /** What the step was prepared for: sequences or their adapters, and what it found in the model, as modules may get other weights or adapters while a sequence is read. */
  #parts: unknown[] = []

  /** @param names the adapter of each sequence, where they differ. */
  constructor(model: CausalLM, cache: KvCache, names?: readonly string[]) {
    this.#model = model
    this.#cache = cache
    this.#names = names
    const { rope } = model.config
    if (rope.type !== 'dynamic') this.#frequencies = inverseFrequencies(rope, 0)
  }

  /**
   * Reads one token of each sequence into the cache.
   *
   * @param active which sequences.
   * @param tokens the new token of each.
   * @returns logits `[active * vocab]`
   */
  logits(active: readonly number[], tokens: readonly number[]): Float32Array {
    const count = active.length
    const virtual = this.#model.attachment?.virtualTokens?.count ?? 0
    const positions = active.map((s) => this.#cache.lengths[s]! + virtual)
    const { rope } = this.#model.config
    const frequencies = this.#frequencies ?? inverseFrequencies(rope, Math.max(...positions) + 1)
    const places = this.#cache.reserve(active, new Int32Array(count).fill(1))
    const step = this.#prepared(active)
    const values = {
      ids: Int32Array.from(tokens),
      ...rotaryTables(positions, frequencies, rope.attentionFactor),
      cuSeqlens: Int32Array.from({ length: count + 1 }, (_, i) => i),
      ...places,
    }
    return step.run(values).dataSync() as Float32Array
  }

  #prepared(active: readonly number[]): CompiledStep<Input> {
    const names = this.#names && active.map((s) => this.#names![s]!)
    const parts = [...(names ?? [active.length]), ...partsOf(this.#model)]
    const same = parts.length === this.#parts.length && parts.every((p, i) => p === this.#parts[i])
    if (this.#step && same) return this.#step
    this.dispose()
    this.#parts = parts
    const count = active.length
    const half = this.#model.config.rope.rotaryDim / 2
    const ints: StepInput = { shape: [count], dtype: 'int32' }
    const angles: StepInput = { shape: [count, half], dtype: 'float32' }
    const cuSeqlens: StepInput = { shape: [count + 1], dtype: 'int32' }
    const inputs = { ids: ints, rows: ints, kvStart: ints, kvLength: ints, cos: angles, sin: angles, cuSeqlens }
    this.#step = compileStep<Input>((tensors) => this.#compute(tensors, names), inputs)
    return this.#step
  }

  #compute(tensors: Record<Input, tf.Tensor>, adapterNames?: readonly string[]): tf.Tensor2D {
    const { ids, cos, sin, cuSeqlens, ...places } = tensors as Record<Input, never>
    const cache = this.#cache
    cache.use(places as CacheTensors)
    try {
      const context = new StepContext(this.#model.config, { cuSeqlens, cos, sin }, cache)
      const rows = (ids as tf.Tensor1D).size
      const pass = createPass({ cuSeqlens: Array.from({ length: rows + 1 }, (_, i) => i), adapterNames }, { cache })
      return this.#model.logits(this.#model.forwardNext(ids, context, pass), pass)
    } finally {
      cache.use(undefined)
    }
  }

  dispose(): void {
    this.#step?.dispose()
    this.#step = undefined
  }
}

/** Everything that a forward pass looks up in the model's modules. */
function partsOf(model: CausalLM): unknown[] {
  const parts: unknown[] = [model.attachment, model.embedTokens.override, model.embedTokens.weight]
  for (const { override, weight, bias } of model.linears.values()) parts.push(override, weight, bias)
  for (const { weight } of model.norms.values()) parts.push(weight)
  return parts
}
