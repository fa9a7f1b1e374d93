import * as tf from '@tensorflow/tfjs-core'
import { parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { packSequences } from '../batch'
import type { CausalLM } from '../causal-lm'
import { KvCache } from '../kv-cache'
import { DecodingStep } from './decoding-step'
import { createSampler, samplingSchema } from './sampler'

const ids = z.array(z.number().int().nonnegative())

export const generateSchema = samplingSchema.partial().extend({
  /** Longest answer. Default that of generation_config.json, else 128. */
  maxNewTokens: z.number().int().positive().optional(),
  /** Tokens that end a sequence; default the model's end-of-sequence tokens. `[]` never stops early. */
  stopTokenIds: ids.optional(),
  /** Runs of tokens that end a sequence. Default none. */
  stopSequences: z.array(ids.min(1)).default([]),
  /** Answers to each prompt; they differ only when sampling. Default 1. */
  numReturnSequences: z.number().int().positive().default(1),
  /** The adapter for each prompt, where several are loaded; `__base__` for none. Default: the active one for all. */
  adapterNames: z.array(z.string()).optional(),
  /** Stops at the next token when aborted. */
  signal: z.instanceof(AbortSignal).optional(),
})
export type GenerateOptions = z.input<typeof generateSchema>

export interface GeneratedToken {
  /** Which sequence it continues: answer `a` to prompt `p` is sequence `p * numReturnSequences + a`. */
  sequence: number
  token: number
  /** Set with a sequence's last token: it completed a stop token or sequence, or the length ran out. */
  finish?: 'stop' | 'length'
  /** With `finish: 'stop'`: how many of the last tokens are what stopped it, and no part of the answer. */
  stopLength?: number
}

/** Called with each new token, and with `stopLength` when it stops the sequence; true ends the sequence with it. */
export type StopWhen = (sequence: number, token: number, stopLength: number | undefined) => boolean

/** Options with what generation_config.json says in place of what they leave open. */
function withDefaults(model: CausalLM, options: GenerateOptions, where: string) {
  const { raw: _, bosTokenId: __, eosTokenIds, padTokenId: ___, ...defaults } = model.generation
  const parsed = parseOptions(generateSchema, options, where)
  const { maxNewTokens, stopTokenIds, stopSequences, numReturnSequences, adapterNames, signal, ...sampling } = parsed
  const { maxNewTokens: usual = 128, ...usualSampling } = defaults
  // What was not given has its default here already; the model's own comes first.
  const given = Object.fromEntries(
    Object.entries(sampling).filter(([name]) => options[name as keyof GenerateOptions] !== undefined),
  )
  const settings = parseOptions(samplingSchema, { ...usualSampling, ...given }, where)
  if (numReturnSequences > 1 && !settings.doSample)
    throw new TunesmithError('Several answers to a prompt are all the same without sampling', {
      code: 'invalid_options',
      where: `${where}: numReturnSequences`,
      remedy: 'Set doSample: true',
    })
  return {
    maxNewTokens: maxNewTokens ?? usual,
    stops: new Set(stopTokenIds ?? eosTokenIds),
    stopSequences,
    numReturnSequences,
    adapterNames,
    signal,
    sampling: settings,
  }
}

const endsWith = (tokens: readonly number[], from: number, end: readonly number[]) =>
  tokens.length - from >= end.length && end.every((token, i) => tokens[tokens.length - end.length + i] === token)

/**
 * Continues prompts of different lengths together, one token each per step, and yields the tokens as they come.
 *
 * The prompts are read in one padding-free pass; after that every step reads one token per unfinished sequence.
 * Between steps the event loop runs. What the options leave open, generation_config.json decides, as in transformers; but nothing is cut
 * off by top-k unless one of the two says so.
 *
 * @param prompts token ids, each at least one and with room for an answer in the model's context.
 * @throws {TunesmithError} `invalid_data` for an empty or too long prompt, `aborted` when the signal fires.
 */
export function streamTokens(
  model: CausalLM,
  prompts: readonly ArrayLike<number>[],
  options: GenerateOptions = {},
): AsyncGenerator<GeneratedToken> {
  return decode(model, prompts, options, 'generate')
}

/** {@link streamTokens}, with another reason to stop. */
export async function* decode(
  model: CausalLM,
  prompts: readonly ArrayLike<number>[],
  options: GenerateOptions,
  where: string,
  stopWhen?: StopWhen,
): AsyncGenerator<GeneratedToken> {
  const settings = withDefaults(model, options, where)
  const { maxNewTokens, stops, stopSequences, numReturnSequences: answers, adapterNames, signal, sampling } = settings
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
      where: `${where}: adapterNames`,
    })
  if (prompts.length === 0) return
  const names = adapterNames?.flatMap((name) => Array.from({ length: answers }, () => name))
  const promptOf = (sequence: number) => prompts[Math.floor(sequence / answers)]!
  const sequences = Array.from({ length: prompts.length * answers }, (_, s) => Array.from(promptOf(s)))
  const samplers = sequences.map((_, s) => createSampler(sampling, String(s)))
  const longest = prompts.reduce((max, { length }) => Math.max(max, length), 0)
  const virtual = model.attachment?.virtualTokens?.count ?? 0
  const cache = new KvCache(model.config, sequences.length, Math.min(context, longest + maxNewTokens), virtual)
  const step = new DecodingStep(model, cache, names)
  const width = model.config.vocabSize
  const checkSignal = () => {
    if (signal?.aborted) throw new TunesmithError('Generation was aborted', { code: 'aborted', cause: signal.reason })
  }
  try {
    checkSignal()
    // Each prompt is read once, for its first answer; the others begin with a copy of what the cache then holds.
    const first = prompts.map((_, p) => p * answers)
    let logits = promptLogits(model, cache, first, sequences, names)
    for (const s of first) for (let a = 1; a < answers; a++) cache.copy(s, s + a)
    let rowOf = (s: number) => Math.floor(s / answers)
    let active = sequences.map((_, s) => s)
    for (;;) {
      const still: number[] = []
      for (const s of active) {
        const sequence = sequences[s]!
        const row = rowOf(s) * width
        const token = samplers[s]!(logits.subarray(row, row + width), sequence)
        sequence.push(token)
        const start = promptOf(s).length
        const run = stopSequences.find((end) => endsWith(sequence, start, end))
        const stopLength = stops.has(token) ? 1 : run?.length
        const stopped = stopWhen?.(s, token, stopLength) || stopLength !== undefined
        const full = sequence.length - start >= maxNewTokens || sequence.length >= context
        const finish = stopped ? 'stop' : full ? 'length' : undefined
        if (!finish) still.push(s)
        yield { sequence: s, token, ...(finish && { finish }), ...(stopLength !== undefined && { stopLength }) }
      }
      if (still.length === 0) return
      await new Promise<void>((resolve) => setImmediate(resolve))
      checkSignal()
      active = still
      logits = step.logits(
        active,
        active.map((s) => sequences[s]!.at(-1)!),
      )
      const rows = new Map(active.map((s, row) => [s, row]))
      rowOf = (s) => rows.get(s)!
    }
  } finally {
    step.dispose()
    cache.dispose()
  }
}

/** One forward pass over whole sequences; logits `[active * vocab]` after the last tokens. */
function promptLogits(
  model: CausalLM,
  cache: KvCache,
  active: readonly number[],
  sequences: readonly number[][],
  names?: readonly string[],
): Float32Array {
  const packed = packSequences(active.map((s) => sequences[s]!))
  const counts = active.map((s) => sequences[s]!.length)
  return tf.tidy(() => {
    cache.begin(active, counts)
    const adapterNames = names && active.map((s) => names[s]!)
    const hidden = model.forward({ ...packed, adapterNames }, { cache })
    const last = tf.tensor1d(
      active.map((_, a) => packed.cuSeqlens[a + 1]! - 1),
      'int32',
    )
    return model.logits(tf.gather(hidden, last)).dataSync() as Float32Array
  })
}

/**
 * Like {@link streamTokens}, all at once: the new tokens of each sequence, without what stopped it.
 */
export async function generate(
  model: CausalLM,
  prompts: readonly ArrayLike<number>[],
  options: GenerateOptions = {},
): Promise<number[][]> {
  const outputs: number[][] = []
  for await (const { sequence, token, stopLength } of streamTokens(model, prompts, options)) {
    outputs[sequence] ??= []
    outputs[sequence].push(token)
    if (stopLength) outputs[sequence].length -= stopLength
  }
  return outputs
}
