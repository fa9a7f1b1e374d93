import { invalidOptions } from '@tunesmith/core'
import { z } from 'zod'

const id = z.number().int().nonnegative()
const ids = z.array(id)

/** A number that is added to a score: also `-Infinity`, which bans. */
export const scoreBias = z.custom<number>(
  (value) => typeof value === 'number' && !Number.isNaN(value) && value !== Infinity,
  'expected a number, or -Infinity',
)

/**
 * What changes the scores of the next token before one is chosen; names and meaning are those of transformers' GenerationConfig, and of
 * OpenAI's API where transformers has none.
 */
export const processorOptions = {
  /** Adds to the score of each run of tokens' last token when the rest of the run stands before it: pairs of a run and a number (`-Infinity` bans). */
  sequenceBias: z.array(z.tuple([ids.min(1), scoreBias])).optional(),
  /** Makes tokens of the prompt more likely above 1, less likely below. Default 1. */
  encoderRepetitionPenalty: z.number().positive().default(1),
  /** Divides the positive and multiplies the negative logits of tokens seen before (Keskar et al. 2019). Default 1. */
  repetitionPenalty: z.number().positive().default(1),
  /** Taken from the logits of tokens that the answer has already (OpenAI). Default 0. */
  presencePenalty: z.number().default(0),
  /** Taken from them as often as the answer has the token (OpenAI). Default 0. */
  frequencyPenalty: z.number().default(0),
  /** No run of so many tokens comes twice, the prompt counted in. Default 0: off. */
  noRepeatNgramSize: z.number().int().nonnegative().default(0),
  /** No run of so many tokens of the prompt comes again. Default 0: off. */
  encoderNoRepeatNgramSize: z.number().int().nonnegative().default(0),
  /** Runs of tokens that never come. */
  badWordsIds: z.array(ids.min(1)).optional(),
  /** No end before prompt and answer have so many tokens. Default 0. */
  minLength: z.number().int().nonnegative().default(0),
  /** No end before the answer has so many tokens. Default 0. */
  minNewTokens: z.number().int().nonnegative().default(0),
  /** The second token of a sequence whose prompt has one. */
  forcedBosTokenId: id.optional(),
  /** The last token of an answer that reaches its longest length, one of these. */
  forcedEosTokenId: z.union([id, ids.min(1)]).optional(),
  /** Not-a-number counts as 0, infinity as the largest float32. Default false. */
  removeInvalidValues: z.boolean().default(false),
  /** `[start, factor]`: after `start` tokens of an answer its end becomes more likely, by `|score| * (factor ** tokens - 1)`. */
  exponentialDecayLengthPenalty: z.tuple([z.number().int(), z.number().positive()]).optional(),
  /** Tokens that never come. */
  suppressTokens: ids.optional(),
  /** Tokens that do not begin an answer. */
  beginSuppressTokens: ids.optional(),
}
export type ProcessorSettings = z.output<z.ZodObject<typeof processorOptions>>

/** What processors need to know of a sequence. */
export interface SequenceLimits {
  promptLength: number
  /** Tokens of prompt and answer at most. */
  maxLength: number
  /** Tokens that end the answer. */
  eosTokenIds: readonly number[]
}

/** Changes the scores `[vocab]` of the token after `tokens`, which begin with the prompt. */
export type LogitsProcessor = (scores: Float64Array, tokens: ArrayLike<number>) => void

const FLOAT32_MAX = 3.4028234663852886e38

const ban = (scores: Float64Array, tokens: Iterable<number>) => {
  for (const token of tokens) if (token < scores.length) scores[token] = Number.NEGATIVE_INFINITY
}

const force = (scores: Float64Array, tokens: readonly number[]) => {
  scores.fill(Number.NEGATIVE_INFINITY)
  for (const token of tokens) if (token < scores.length) scores[token] = 0
}

/** Whether `run` stands at `end` of the tokens, exclusive. */
const standsAt = (tokens: ArrayLike<number>, end: number, run: ArrayLike<number>, length: number): boolean => {
  if (end < length) return false
  for (let i = 0; i < length; i++) if (tokens[end - length + i] !== run[i]) return false
  return true
}

function penalty(factor: number, seen: (tokens: ArrayLike<number>) => Iterable<number>): LogitsProcessor {
  return (scores, tokens) => {
    for (const token of seen(tokens)) {
      if (token >= scores.length) continue
      const score = scores[token]!
      scores[token] = score < 0 ? score * factor : score / factor
    }
  }
}

function bias(biases: readonly (readonly [readonly number[], number])[]): LogitsProcessor {
  return (scores, tokens) => {
    const added = new Map<number, number>()
    for (const [run, value] of biases) {
      const last = run.at(-1)!
      if (standsAt(tokens, tokens.length, run, run.length - 1)) added.set(last, (added.get(last) ?? 0) + value)
    }
    for (const [token, value] of added) scores[token]! += value
  }
}

/** Bans what would repeat a run of `size` tokens that lies within the first `reach` ones. */
function noRepeat(size: number, reach: (tokens: ArrayLike<number>) => number): LogitsProcessor {
  return (scores, tokens) => {
    const { length } = tokens
    const before = size - 1
    if (length < before) return
    const prefix = Array.from({ length: before }, (_, i) => tokens[length - before + i]!)
    const last = Math.min(reach(tokens), length)
    for (let end = before; end < last; end++) if (standsAt(tokens, end, prefix, before)) ban(scores, [tokens[end]!])
  }
}

function removeInvalid(scores: Float64Array): void {
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i]!
    if (Number.isNaN(score)) scores[i] = 0
    else if (!Number.isFinite(score)) scores[i] = Math.sign(score) * FLOAT32_MAX
  }
}

/** transformers keeps the last of several biases for the same run. */
const lastOfEach = (biases: readonly (readonly [number[], number])[]) => [
  ...new Map(biases.map((one) => [one[0].join(), one] as const)).values(),
]

/**
 * The processors that settings ask for, in transformers' order.
 *
 * @throws {TunesmithError} `invalid_options` for a biased token outside of the vocabulary.
 */
export function createLogitsProcessors(
  settings: ProcessorSettings,
  { promptLength, maxLength, eosTokenIds }: SequenceLimits,
  vocabSize: number,
): LogitsProcessor[] {
  const processors: LogitsProcessor[] = []
  const addIf = (condition: unknown, processor: () => LogitsProcessor) => {
    if (condition) processors.push(processor())
  }
  const ends = eosTokenIds.length > 0
  const prompt = (tokens: ArrayLike<number>) => new Set(Array.from({ length: promptLength }, (_, i) => tokens[i]!))
  const { sequenceBias, badWordsIds, forcedBosTokenId, forcedEosTokenId, suppressTokens, beginSuppressTokens } =
    settings
  const outside = [...(sequenceBias ?? []).map(([run]) => run), ...(badWordsIds ?? [])]
    .flat()
    .filter((t) => t >= vocabSize)
  if (outside.length > 0)
    throw invalidOptions(`Tokens ${outside.slice(0, 5).join(', ')} are outside of the vocabulary of ${vocabSize}`, {
      where: 'sequenceBias, badWordsIds',
      remedy: 'Use the ids of the tokenizer that belongs to the model',
    })

  addIf(sequenceBias?.length, () => bias(lastOfEach(sequenceBias!)))
  addIf(settings.encoderRepetitionPenalty !== 1, () => penalty(1 / settings.encoderRepetitionPenalty, prompt))
  addIf(settings.repetitionPenalty !== 1, () =>
    penalty(settings.repetitionPenalty, (tokens) => new Set(Array.from(tokens))),
  )
  const { presencePenalty, frequencyPenalty } = settings
  addIf(presencePenalty !== 0 || frequencyPenalty !== 0, () => (scores, tokens) => {
    const counts = new Map<number, number>()
    for (let i = promptLength; i < tokens.length; i++) counts.set(tokens[i]!, (counts.get(tokens[i]!) ?? 0) + 1)
    for (const [token, count] of counts) scores[token]! -= presencePenalty + frequencyPenalty * count
  })
  addIf(settings.noRepeatNgramSize > 0, () => noRepeat(settings.noRepeatNgramSize, ({ length }) => length))
  addIf(settings.encoderNoRepeatNgramSize > 0, () => noRepeat(settings.encoderNoRepeatNgramSize, () => promptLength))
  addIf(badWordsIds?.length, () => {
    const others = badWordsIds!.filter((run) => run.length > 1 || !eosTokenIds.includes(run[0]!))
    return bias(lastOfEach(others.map((run) => [run, Number.NEGATIVE_INFINITY] as const)))
  })
  const shortest = Math.max(settings.minLength, settings.minNewTokens && promptLength + settings.minNewTokens)
  addIf(ends && shortest > 0, () => (scores, { length }) => {
    if (length < shortest) ban(scores, eosTokenIds)
  })
  addIf(forcedBosTokenId !== undefined, () => (scores, { length }) => {
    if (length === 1) force(scores, [forcedBosTokenId!])
  })
  addIf(forcedEosTokenId !== undefined, () => (scores, { length }) => {
    if (length === maxLength - 1) force(scores, [forcedEosTokenId!].flat())
  })
  addIf(settings.removeInvalidValues, () => removeInvalid)
  addIf(ends && settings.exponentialDecayLengthPenalty, () => {
    const [start, factor] = settings.exponentialDecayLengthPenalty!
    return (scores, { length }) => {
      const beyond = length - promptLength - start
      if (beyond > 0)
        for (const token of eosTokenIds) scores[token]! += Math.abs(scores[token]!) * (factor ** beyond - 1)
    }
  })
  addIf(suppressTokens?.length, () => (scores) => ban(scores, suppressTokens!))
  // A prompt of one token is followed by the forced one, where there is one, and then the answer begins.
  const begin = promptLength > 1 || forcedBosTokenId === undefined ? promptLength : promptLength + 1
  addIf(beginSuppressTokens?.length, () => (scores, { length }) => {
    if (length === begin) ban(scores, beginSuppressTokens!)
  })
  return processors
}
