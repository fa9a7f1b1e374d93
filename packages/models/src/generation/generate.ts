import * as tf from '@tensorflow/tfjs-core'
import { parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import type { CausalLM } from '../causal-lm'
import { KvCache } from './kv-cache'
import { createSampler, samplingSchema } from './sampler'

const generateSchema = samplingSchema.extend({
  /** Default 128. */
  maxNewTokens: z.number().int().positive().default(128),
  /** Tokens that end a sequence; default the model's end-of-sequence tokens. `[]` never stops early. */
  stopTokenIds: z.array(z.number().int()).optional(),
  /** The adapter for each prompt, where several are loaded; `__base__` for none. Default: the active one for all. */
  adapterNames: z.array(z.string()).optional(),
  /** Stops at the next token when aborted. */
  signal: z.instanceof(AbortSignal).optional(),
})
export type GenerateOptions = z.input<typeof generateSchema>

export interface GeneratedToken {
  /** Which prompt it continues. */
  sequence: number
  token: number
  /** Set with a sequence's last token: it was a stop token, or the length ran out. */
  finish?: 'stop' | 'length'
}

/**
 * Continues prompts of different lengths together, one token each per step, and yields the tokens as they come.
 *
 * The prompts are read in one padding-free pass; after that every step reads one token per unfinished sequence.
 * Between steps the event loop runs.
 *
 * @param prompts token ids, each at least one and with room for an answer in the model's context.
 * @throws {TunesmithError} `invalid_data` for an empty or too long prompt, `aborted` when the signal fires.
 */
export async function* streamTokens(
  model: CausalLM,
  prompts: readonly ArrayLike<number>[],
  options: GenerateOptions = {},
): AsyncGenerator<GeneratedToken> {
  const { maxNewTokens, stopTokenIds, adapterNames, signal, ...sampling } = parseOptions(
    generateSchema,
    options,
    'generate',
  )
  const stops = new Set(stopTokenIds ?? model.config.eosTokenIds)
  const context = model.config.maxPositionEmbeddings
  prompts.forEach((prompt, i) => {
    if (prompt.length > 0 && prompt.length < context) return
    throw new TunesmithError(`Prompt ${i} has ${prompt.length} tokens; it must have 1 to ${context - 1}`, {
      code: 'invalid_data',
    })
  })
  if (adapterNames && adapterNames.length !== prompts.length)
    throw new TunesmithError(`There are ${adapterNames.length} adapter names for ${prompts.length} prompts`, {
      code: 'invalid_options',
      where: 'adapterNames',
    })
  const sequences = prompts.map((prompt) => Array.from(prompt))
  const samplers = prompts.map((_, i) => createSampler(sampling, String(i)))
  const longest = sequences.reduce((max, { length }) => Math.max(max, length), 0)
  const cache = new KvCache(
    model.config,
    sequences.length,
    Math.min(context, longest + maxNewTokens),
    model.virtualTokens?.count,
  )
  let active = sequences.map((_, i) => i)
  try {
    while (active.length > 0) {
      if (signal?.aborted) throw new TunesmithError('Generation was aborted', { code: 'aborted', cause: signal.reason })
      const logits = nextLogits(model, cache, active, sequences, adapterNames)
      const still: number[] = []
      for (const [row, i] of active.entries()) {
        const sequence = sequences[i]!
        const width = model.config.vocabSize
        const token = samplers[i]!(logits.subarray(row * width, (row + 1) * width), sequence)
        sequence.push(token)
        const full = sequence.length - prompts[i]!.length >= maxNewTokens || sequence.length >= context
        const finish = stops.has(token) ? 'stop' : full ? 'length' : undefined
        if (!finish) still.push(i)
        yield { sequence: i, token, ...(finish && { finish }) }
      }
      active = still
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  } finally {
    cache.dispose()
  }
}

/** One forward pass over what the cache has not seen of each active sequence; logits `[active * vocab]` after the last tokens. */
function nextLogits(
  model: CausalLM,
  cache: KvCache,
  active: readonly number[],
  sequences: readonly number[][],
  names?: readonly string[],
): Float32Array {
  const inputIds: number[] = []
  const positions: number[] = []
  const cuSeqlens = [0]
  for (const i of active) {
    const sequence = sequences[i]!
    for (let position = cache.lengths[i]!; position < sequence.length; position++) {
      inputIds.push(sequence[position]!)
      positions.push(position)
    }
    cuSeqlens.push(inputIds.length)
  }
  cache.begin(
    active,
    active.map((_, a) => cuSeqlens[a + 1]! - cuSeqlens[a]!),
  )
  return tf.tidy(() => {
    const adapterNames = names && active.map((i) => names[i]!)
    let hidden = model.forward({ inputIds, positions, cuSeqlens, adapterNames }, { cache })
    if (inputIds.length > active.length)
      hidden = tf.gather(
        hidden,
        tf.tensor1d(
          cuSeqlens.slice(1).map((end) => end - 1),
          'int32',
        ),
      )
    return model.logits(hidden).dataSync() as Float32Array
  })
}

/**
 * Like {@link streamTokens}, all at once: the new tokens of each prompt, without the stop token.
 */
export async function generate(
  model: CausalLM,
  prompts: readonly ArrayLike<number>[],
  options: GenerateOptions = {},
): Promise<number[][]> {
  const outputs: number[][] = prompts.map(() => [])
  for await (const { sequence, token, finish } of streamTokens(model, prompts, options))
    if (finish !== 'stop') outputs[sequence]!.push(token)
  return outputs
}
