import type * as tf from '@tensorflow/tfjs-core'
import { type CompiledStep, compileStep, type StepInput } from '@tunesmith/backend'
import type { CausalLM } from '../causal-lm'
import type { KvCache } from '../kv-cache'
import { createPass } from '../pass'
import { namedTables, StepContext, tablesOf, tableWidths } from '../step-context'

/**
 * One more token of each unfinished sequence, again and again: a step whose shapes depend only on how many sequences there
 * are, so that a backend which can captures it (`compileStep`).
 */
export class DecodingStep {
  readonly #model: CausalLM
  readonly #cache: KvCache
  #step: CompiledStep<string> | undefined
  /** What the step was prepared for: sequences or their adapters, and what it found in the model, as modules may get other weights or adapters while a sequence is read. */
  #parts: unknown[] = []

  constructor(model: CausalLM, cache: KvCache) {
    this.#model = model
    this.#cache = cache
  }

  /**
   * Reads one token of each sequence into the cache.
   *
   * @param active which sequences.
   * @param tokens the new token of each.
   * @param names the adapter of each, where they differ.
   * @returns logits `[active * vocab]`
   */
  logits(active: readonly number[], tokens: readonly number[], names?: readonly string[]): Float32Array {
    const count = active.length
    const virtual = this.#model.attachment?.virtualTokens?.count ?? 0
    const positions = active.map((s) => this.#cache.lengths[s]! + virtual)
    const places = this.#cache.reserve(active, new Int32Array(count).fill(1))
    const step = this.#prepared(count, names)
    const cuSeqlens = Int32Array.from({ length: count + 1 }, (_, i) => i)
    const values = {
      ids: Int32Array.from(tokens),
      ...namedTables(this.#model.config, positions, cuSeqlens),
      ...(this.#model.embedPositions && { positions: Int32Array.from(positions) }),
      cuSeqlens,
      ...places,
    }
    return step.run(values).dataSync() as Float32Array
  }

  #prepared(count: number, names?: readonly string[]): CompiledStep<string> {
    const parts = [...(names ?? [count]), ...partsOf(this.#model)]
    const same = parts.length === this.#parts.length && parts.every((p, i) => p === this.#parts[i])
    if (this.#step && same) return this.#step
    this.dispose()
    this.#parts = parts
    const ints: StepInput = { shape: [count], dtype: 'int32' }
    const cuSeqlens: StepInput = { shape: [count + 1], dtype: 'int32' }
    const inputs: Record<string, StepInput> = { ids: ints, rows: ints, kvStart: ints, kvLength: ints, cuSeqlens }
    for (const [name, width] of tableWidths(this.#model.config))
      inputs[name] = { shape: [count, width], dtype: 'float32' }
    if (this.#model.embedPositions) inputs.positions = ints
    this.#step = compileStep<string>((tensors) => this.#compute(tensors, names), inputs, {
      // Which experts a token takes is read back.
      captures: this.#model.experts.size === 0,
    })
    return this.#step
  }

  #compute(tensors: Record<string, tf.Tensor>, adapterNames?: readonly string[]): tf.Tensor2D {
    const vector = (name: string) => tensors[name] as tf.Tensor1D
    const [ids, cuSeqlens] = [vector('ids'), vector('cuSeqlens')]
    const cache = this.#cache
    const { config, embedPositions } = this.#model
    cache.use({ rows: vector('rows'), kvStart: vector('kvStart'), kvLength: vector('kvLength') })
    try {
      const positions = embedPositions && { positions: vector('positions') }
      const context = new StepContext(config, { cuSeqlens, ropes: tablesOf(config, tensors), ...positions }, { cache })
      const rows = ids.size
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
  for (const { weight, bias } of model.norms.values()) parts.push(weight, bias)
  for (const { weights } of model.experts.values()) parts.push(...weights)
  if (model.embedPositions) parts.push(model.embedPositions.override, model.embedPositions.weight)
  return parts
}
