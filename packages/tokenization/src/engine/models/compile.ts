import { z } from 'zod'
import { inexact, type Loading, readStep } from '../read-step'
import type { BpeJson, StepJson } from '../tokenizer-json'
import { vocabMap } from '../vocab-map'
import { Bpe } from './bpe'
import { type Model, remembering } from './model'
import { Unigram } from './unigram'
import { WordLevel } from './word-level'
import { WordPiece } from './word-piece'

const text = z.string()
const optionalText = text.nullish()
const flag = z.boolean().nullish()
/** Read elsewhere, entry by entry. */
const list = z.unknown()

/** What each type of model may say, beside its vocabulary and merges. */
const SHAPES = {
  BPE: {
    vocab: list,
    merges: list,
    dropout: z.number().min(0).max(1).nullish(),
    unk_token: optionalText,
    continuing_subword_prefix: optionalText,
    end_of_word_suffix: optionalText,
    fuse_unk: flag,
    byte_fallback: flag,
    ignore_merges: flag,
  },
  WordPiece: {
    vocab: list,
    unk_token: text.default('[UNK]'),
    continuing_subword_prefix: text.default('##'),
    max_input_chars_per_word: z.int().min(0).default(100),
  },
  WordLevel: { vocab: list, unk_token: text.default('<unk>') },
  Unigram: { vocab: list, unk_id: z.int().min(0).nullish(), byte_fallback: z.boolean().default(false) },
} as const

/**
 * Checks the settings of a model; its vocabulary has been checked before.
 *
 * @throws {TunesmithError} `unsupported` by name, or `invalid_file`.
 */
export function checkModel(json: StepJson, loading: Loading): void {
  if (!Object.hasOwn(SHAPES, json.type)) throw inexact(`model type ${json.type}`, loading.where)
  const settings = readStep(
    json,
    SHAPES[json.type as keyof typeof SHAPES] as z.ZodRawShape,
    'model',
    loading,
  ) as Record<string, unknown>
  if (settings.dropout)
    throw inexact(
      `BPE with dropout ${settings.dropout}, which makes other tokens of a text each time`,
      loading.where,
      'Set "dropout" to null in tokenizer.json',
    )
  if (settings.byte_fallback && (settings.continuing_subword_prefix || settings.end_of_word_suffix))
    throw inexact('BPE with byte_fallback together with a prefix or suffix of subwords', loading.where)
  const size = Array.isArray(json.vocab) ? json.vocab.length : 0
  if (json.type === 'Unigram' && typeof settings.unk_id === 'number' && settings.unk_id >= size)
    throw inexact(`Unigram with unk_id ${settings.unk_id}, outside its vocabulary of ${size}`, loading.where)
}

/** The model of a tokenizer.json that has been checked. */
export function compileModel(json: StepJson, loading: Loading): Model {
  const { where } = loading
  if (json.type === 'Unigram')
    return remembering(
      new Unigram(
        json.vocab as [string, number][],
        (json.unk_id as number | null) ?? undefined,
        json.byte_fallback === true,
        where,
      ),
    )
  const vocab = vocabMap(json.vocab)
  switch (json.type) {
    case 'BPE':
      return remembering(new Bpe(json as BpeJson, vocab, where))
    case 'WordPiece':
      return remembering(
        new WordPiece(
          vocab,
          {
            unk_token: (json.unk_token as string | undefined) ?? '[UNK]',
            continuing_subword_prefix: (json.continuing_subword_prefix as string | undefined) ?? '##',
            max_input_chars_per_word: (json.max_input_chars_per_word as number | undefined) ?? 100,
          },
          where,
        ),
      )
    case 'WordLevel':
      return new WordLevel(vocab, (json.unk_token as string | undefined) ?? '<unk>', where)
    default:
      throw inexact(`model type ${json.type}`, where)
  }
}
