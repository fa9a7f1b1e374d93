import { parseOptions } from '@tunesmith/core'
import type { Tokenizer } from '@tunesmith/tokenization'
import { z } from 'zod'
import type { CausalLM } from '../causal-lm'
import { answerEnds } from './answer-ends'
import { decode, generateSchema } from './generate'
import { StopStrings } from './stop-strings'

const textSchema = generateSchema.extend({
  /**
   * Texts that end an answer; they are no part of it. Default those of generation_config.json, and what ends a turn where that is no token (not with
   * `stopTokenIds`).
   */
  stopStrings: z.array(z.string().min(1)).optional(),
  /** Leaves special tokens out of the text. Default true. */
  skipSpecialTokens: z.boolean().default(true),
})
export type GenerateTextOptions = z.input<typeof textSchema>

export interface TextPiece {
  /** Which sequence it continues: answer `a` to prompt `p` is sequence `p * numReturnSequences + a`. */
  sequence: number
  /** Whole characters; empty while one, or what may be a stop string, is still arriving. */
  text: string
  /** The token it came with. */
  token: number
  /** Set with a sequence's last piece: something stopped it, or the length ran out. */
  finish?: 'stop' | 'length'
}

export interface GeneratedText {
  text: string
  /** The new tokens, those that stopped it included. */
  tokens: number[]
  finish: 'stop' | 'length'
}

/**
 * Continues prompts and yields the text as it comes, never a part of a character.
 *
 * @param prompts texts, encoded with the tokenizer's special tokens, or token ids.
 * @param options those of {@link streamTokens}, and `stopStrings`. What both default to: {@link answerEnds}.
 * @throws {TunesmithError} like {@link streamTokens}.
 */
export async function* streamText(
  model: CausalLM,
  tokenizer: Tokenizer,
  prompts: readonly (string | ArrayLike<number>)[],
  options: GenerateTextOptions = {},
): AsyncGenerator<TextPiece> {
  const parsed = parseOptions(textSchema, options, 'generateText')
  const { skipSpecialTokens, stopSequences, numReturnSequences, ignoreSettings } = parsed
  const ends = answerEnds(model, tokenizer)
  const usual = ignoreSettings.includes('stop_strings') ? [] : (model.generation.stopStrings ?? [])
  const stopStrings = parsed.stopStrings ?? [...usual, ...(options.stopTokenIds === undefined ? ends.strings : [])]
  // As they were given: what they leave open, the model's generation_config.json decides.
  const { stopStrings: _, skipSpecialTokens: __, ...given } = options
  const ids = prompts.map((prompt) => (typeof prompt === 'string' ? tokenizer.encode(prompt).ids : prompt))
  const texts = Array.from({ length: prompts.length * numReturnSequences }, () => ({
    stream: tokenizer.decodeStream({ skipSpecialTokens }),
    strings: new StopStrings(stopStrings),
    // Tokens that may be the beginning of a stop sequence.
    waiting: [] as number[],
    text: '',
  }))
  const stopWhen = (sequence: number, token: number, stopLength: number | undefined) => {
    const state = texts[sequence]!
    const { stream, strings, waiting } = state
    waiting.push(token)
    if (stopLength !== undefined) waiting.length -= stopLength
    const begun = stopLength === undefined ? begunRun(waiting, stopSequences) : 0
    const { text, found } = strings.push(stream.push(waiting.splice(0, waiting.length - begun)))
    state.text = text
    if (found) waiting.length = 0
    return found
  }
  const settings = {
    ...given,
    stopTokenIds: given.stopTokenIds ?? ends.tokenIds,
    ignoreSettings: [...ignoreSettings, 'stop_strings'],
  }
  for await (const { sequence, token, finish } of decode(model, ids, settings, 'generateText', stopWhen)) {
    const { stream, strings, waiting, text } = texts[sequence]!
    // After a stop string nothing is left to show, and the decoder's rest came after it.
    const rest = finish && !strings.found ? strings.push(stream.push(waiting) + stream.end()).text + strings.end() : ''
    yield { sequence, text: text + rest, token, ...(finish && { finish }) }
  }
}

/** How many of the last tokens are the beginning of a stop sequence. */
function begunRun(tokens: readonly number[], stopSequences: readonly (readonly number[])[]): number {
  let longest = 0
  for (const run of stopSequences)
    for (let length = Math.min(run.length - 1, tokens.length); length > longest; length--)
      if (run.slice(0, length).every((token, i) => token === tokens[tokens.length - length + i])) longest = length
  return longest
}

/** Like {@link streamText}, all at once: one result per sequence. */
export async function generateText(
  model: CausalLM,
  tokenizer: Tokenizer,
  prompts: readonly (string | ArrayLike<number>)[],
  options: GenerateTextOptions = {},
): Promise<GeneratedText[]> {
  const results: GeneratedText[] = []
  for await (const { sequence, text, token, finish } of streamText(model, tokenizer, prompts, options)) {
    results[sequence] ??= { text: '', tokens: [], finish: 'length' }
    const result = results[sequence]
    result.text += text
    result.tokens.push(token)
    if (finish) result.finish = finish
  }
  return results
}
