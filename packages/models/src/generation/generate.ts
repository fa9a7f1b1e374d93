import * as tf from '@tensorflow/tfjs-core'
import { camelCase, invalidData, invalidOptions, parseOptions, TunesmithError, unsupported } from '@tunesmith/core'
import { z } from 'zod'
import { packSequences } from '../batch'
import type { CausalLM } from '../causal-lm'
import { KvCache } from '../kv-cache'
import { ropesOf } from '../rope'
import { DecodingStep } from './decoding-step'
import { meaningOf, refusedSettings } from './generation-config'
import { createSampler, samplingSchema } from './sampler'

const ids = z.array(z.number().int().nonnegative())

export const generateSchema = samplingSchema.partial().extend({
  /** Longest answer. Default that of generation_config.json, else 128. */
  maxNewTokens: z.number().int().positive().optional(),
  /** Tokens of prompt and answer at most, where `maxNewTokens` is not given. Default that of generation_config.json. */
  maxLength: z.number().int().positive().optional(),
  /** Seconds after which answers end with the next token. Default that of generation_config.json, else none. */
  maxTime: z.number().positive().optional(),
  /** Tokens that end a sequence; default the model's end-of-sequence tokens. `[]` never stops early. */
  stopTokenIds: ids.optional(),
  /** Runs of tokens that end a sequence. Default none. */
  stopSequences: z.array(ids.min(1)).default([]),
  /** Answers to each prompt; they differ only when sampling. Default 1. */
  numReturnSequences: z.number().int().positive().default(1),
  /** The adapter for each prompt, where several are loaded; `__base__` for none. Default: the active one for all. */
  adapterNames: z.array(z.string()).optional(),
  /**
   * Keys of generation_config.json that count as absent, such as `num_beams`: those that ask for what is not here would be refused
   * otherwise. Default none.
   */
  ignoreSettings: z.array(z.string()).default([]),
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

/** Settings that count only when tokens are drawn. */
const DRAWING = ['temperature', 'topH', 'topK', 'topP', 'minP', 'typicalP', 'epsilonCutoff', 'etaCutoff'] as const

/** What generation_config.json asks for and the options do not override, as options. */
function modelSettings(model: CausalLM, { ignoreSettings = [], ...options }: GenerateOptions, where: string) {
  const { raw, bosTokenId: _, eosTokenIds, padTokenId: __, ...defaults } = model.generation
  const ignored = new Set(ignoreSettings)
  if (options.numReturnSequences !== undefined) ignored.add('num_return_sequences')
  const refused = refusedSettings(model.generation).filter((key) => !ignored.has(key))
  // Strings are found in text.
  if (defaults.stopStrings && options.stopSequences === undefined && !ignored.has('stop_strings'))
    refused.push('stop_strings')
  if (refused.length > 0) {
    const means = (key: string) => (key === 'stop_strings' ? 'texts that end an answer' : meaningOf(key))
    throw unsupported(`generation_config.json asks for ${refused.map((key) => `"${key}": ${means(key)}`).join('; ')}`, {
      where,
      remedy: `Pass ignoreSettings: ${JSON.stringify(refused)} to do without, or remove ${refused.length === 1 ? 'the key' : 'the keys'} from the file${refused.includes('stop_strings') ? '; generateText knows stop strings' : ''}`,
    })
  }
  const dropped = new Set<string>([...ignored].map(camelCase))
  if (!(options.doSample ?? defaults.doSample)) for (const name of DRAWING) dropped.add(name)
  const kept = Object.fromEntries(Object.entries(defaults).filter(([name]) => !dropped.has(name)))
  return { ...(kept as typeof defaults), eosTokenIds: ignored.has('eos_token_id') ? [] : eosTokenIds }
}

/** Options with what generation_config.json says in place of what they leave open. */
export function withDefaults(model: CausalLM, options: GenerateOptions, where: string) {
  const parsed = parseOptions(generateSchema, options, where)
  const { maxNewTokens, maxLength, maxTime, stopTokenIds, stopSequences, ...rest } = parsed
  const { numReturnSequences, adapterNames, signal, ignoreSettings: _, ...sampling } = rest
  const { eosTokenIds, stopStrings: __, ...defaults } = modelSettings(model, options, where)
  const { maxNewTokens: usual, maxLength: usualLength, maxTime: usualTime, ...usualSampling } = defaults
  // What was not given has its default here already; the model's own comes first.
  const given = Object.fromEntries(
    Object.entries(sampling).filter(([name]) => options[name as keyof GenerateOptions] !== undefined),
  )
  const settings = parseOptions(samplingSchema, { ...usualSampling, ...given }, where)
  if (numReturnSequences > 1 && !settings.doSample)
    throw invalidOptions('Several answers to a prompt are all the same without sampling', {
      where: `${where}: numReturnSequences`,
      remedy: 'Set doSample: true',
    })
  const context = model.config.maxPositionEmbeddings
  const newTokens = maxNewTokens ?? (maxLength === undefined ? usual : undefined)
  const total = maxLength ?? usualLength
  const limitOf = (promptLength: number) =>
    Math.min(context, newTokens === undefined && total !== undefined ? total : promptLength + (newTokens ?? 128))
  return {
    /** Tokens of a sequence at most, its prompt counted in. */
    limitOf,
    maxTime: maxTime ?? usualTime ?? Number.POSITIVE_INFINITY,
    stops: new Set(stopTokenIds ?? eosTokenIds),
    stopSequences,
    numReturnSequences,
    adapterNames,
    signal,
    sampling: settings,
  }
}

export const endsWith = (tokens: readonly number[], from: number, end: readonly number[]) =>
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
  const {
    limitOf,
    maxTime,
    stops,
    stopSequences,
    numReturnSequences: answers,
    adapterNames,
    signal,
    sampling,
  } = settings
  prompts.forEach((prompt, i) => {
    const limit = limitOf(prompt.length)
    if (prompt.length > 0 && prompt.length < limit) return
    throw invalidData(`Prompt ${i} has ${prompt.length} tokens; it must have 1 to ${limit - 1}`)
  })
  if (adapterNames && adapterNames.length !== prompts.length)
    throw invalidOptions(`There are ${adapterNames.length} adapter names for ${prompts.length} prompts`, {
      where: `${where}: adapterNames`,
    })
  if (prompts.length === 0) return
  const names = adapterNames?.flatMap((name) => Array.from({ length: answers }, () => name))
  const promptOf = (sequence: number) => prompts[Math.floor(sequence / answers)]!
  const sequences = Array.from({ length: prompts.length * answers }, (_, s) => Array.from(promptOf(s)))
  const limits = sequences.map(({ length }) => limitOf(length))
  const eosTokenIds = [...stops]
  const samplers = sequences.map(({ length }, s) =>
    createSampler(sampling, String(s), { promptLength: length, maxLength: limits[s]!, eosTokenIds }),
  )
  const longest = limits.reduce((max, limit) => Math.max(max, limit), 0)
  const virtual = model.attachment?.virtualTokens?.count ?? 0
  const cache = new KvCache(model.config, sequences.length, longest, virtual)
  const step = new DecodingStep(model, cache)
  const width = model.config.vocabSize
  const checkSignal = () => {
    if (signal?.aborted) throw new TunesmithError('Generation was aborted', { code: 'aborted', cause: signal.reason })
  }
  const deadline = performance.now() + 1000 * maxTime
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
        const full = sequence.length >= limits[s]! || performance.now() >= deadline
        const finish = stopped ? 'stop' : full ? 'length' : undefined
        if (!finish) still.push(s)
        yield { sequence: s, token, ...(finish && { finish }), ...(stopLength !== undefined && { stopLength }) }
      }
      if (still.length === 0) return
      await new Promise<void>((resolve) => setImmediate(resolve))
      checkSignal()
      const again = still.filter((s) => outgrowsRotation(model, cache, s))
      active = [...again, ...still.filter((s) => !again.includes(s))]
      const next = active.slice(again.length)
      const parts = [
        ...(again.length > 0 ? [promptLogits(model, cache, again, sequences, names)] : []),
        ...(next.length > 0
          ? [
              step.logits(
                next,
                next.map((s) => sequences[s]!.at(-1)!),
                names && next.map((s) => names[s]!),
              ),
            ]
          : []),
      ]
      logits = parts.length === 1 ? parts[0]! : Float32Array.from(parts.flatMap((part) => [...part]))
      const rows = new Map(active.map((s, row) => [s, row]))
      rowOf = (s) => rows.get(s)!
    }
  } finally {
    step.dispose()
    cache.dispose()
  }
}

/**
 * Whether with its next token a sequence becomes so long that all its positions rotate otherwise (longrope). What the cache holds of it
 * is then dropped: it has to be read again, as transformers does.
 */
export function outgrowsRotation({ config, attachment }: CausalLM, cache: KvCache, sequence: number): boolean {
  const held = cache.lengths[sequence]! + (attachment?.virtualTokens?.count ?? 0)
  const outgrows = ropesOf(config).some(
    ({ type, originalMaxPositionEmbeddings: length }) => type === 'longrope' && held <= length && held + 1 > length,
  )
  if (outgrows) cache.lengths[sequence] = 0
  return outgrows
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
