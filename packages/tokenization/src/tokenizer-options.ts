import { z } from 'zod'

export const tokenizerOptions = z.strictObject({
  /** tokenizer.json, parsed. */
  tokenizerJson: z.record(z.string(), z.unknown()),
  /** The file `tokenizerJson` was parsed from. Threads read it again, which spares copying the parsed one. */
  jsonBytes: z.instanceof(SharedArrayBuffer).optional(),
  /** tokenizer_config.json, parsed. Default `{}`. */
  config: z.record(z.string(), z.unknown()).default({}),
  /** special_tokens_map.json, parsed. Default `{}`. */
  specialTokensMap: z.record(z.string(), z.unknown()).default({}),
  /** A chat template, or several by name. Default: the config's own. */
  chatTemplate: z.union([z.string(), z.record(z.string(), z.string())]).optional(),
  /**
   * What to do when the config names a special token the vocabulary does not have: refuse (the default: its id would lie
   * outside the model's embedding), `add` it with a new id (the model must then be resized), or `ignore` the role.
   */
  unknownSpecialTokens: z.enum(['error', 'add', 'ignore']).default('error'),
  /**
   * Whether our own engines are used. Default true; `false` asks for `@huggingface/tokenizers`, which is refused where it
   * is not proven to give the ids of Rust `tokenizers`.
   */
  fastEngine: z.boolean().default(true),
  /**
   * Whether `encode` cuts and pads as "truncation" and "padding" of tokenizer.json say, unless its options do. Default true,
   * as in Rust `tokenizers`; `fromPretrained` leaves them aside, as transformers does.
   */
  fileLimits: z.boolean().default(true),
  /** Where the files came from, for messages. */
  where: z.string().default('tokenizer'),
})
export type TokenizerOptions = z.input<typeof tokenizerOptions>
export type ParsedTokenizerOptions = z.output<typeof tokenizerOptions>

export const fromPretrainedOptions = z.strictObject({
  /** Branch, tag or commit on the Hub. Default `main`. */
  revision: z.string().optional(),
  unknownSpecialTokens: tokenizerOptions.shape.unknownSpecialTokens,
  fastEngine: tokenizerOptions.shape.fastEngine,
  /** Whether `encode` follows "truncation" and "padding" of tokenizer.json. Default false, as in transformers. */
  fileLimits: z.boolean().default(false),
})
export type FromPretrainedOptions = z.input<typeof fromPretrainedOptions>

const side = z.enum(['left', 'right'])

export const encodeOptions = z.strictObject({
  /** Put the special tokens of the post-processor (BOS, for Llama) around the text. Default true. */
  addSpecialTokens: z.boolean().default(true),
  /** Cut to this many tokens, special tokens included. Default: no limit, or the file's (see `fileLimits`). */
  maxLength: z.int().positive().optional(),
  /** Which end is cut off. Default: the config's `truncation_side`, else `right`. */
  truncationSide: side.optional(),
  /** Pad to `maxLength`, or to the longest text. Default: no padding, or what the file says (see `fileLimits`). */
  padding: z.union([z.literal('maxLength'), z.literal('longest'), z.literal(false)]).optional(),
  /** Which end is filled up. Default: the config's `padding_side`, else `right`. */
  paddingSide: side.optional(),
})
export type EncodeOptions = z.input<typeof encodeOptions>
export type ParsedEncodeOptions = z.output<typeof encodeOptions>

export const encodeBatchOptions = z.strictObject({
  ...encodeOptions.shape,
  /** Worker threads. Default: the machine's, when there is enough text to be worth it; 0 encodes on this thread. */
  threads: z.int().min(0).optional(),
})
export type EncodeBatchOptions = z.input<typeof encodeBatchOptions>

export const decodeOptions = z.strictObject({
  /** Leave special tokens out. Default false. */
  skipSpecialTokens: z.boolean().default(false),
  /** Remove the space before punctuation, as transformers 4 did for some models. Default false. */
  cleanUpTokenizationSpaces: z.boolean().default(false),
})
export type DecodeOptions = z.input<typeof decodeOptions>

export const addedToken = z.strictObject({
  content: z.string().min(1),
  /** Left out by `skipSpecialTokens`. Default false. */
  special: z.boolean().default(false),
  singleWord: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  /** Match after normalization. Default: only for tokens that are not special. */
  normalized: z.boolean().optional(),
})

/** A token to add: its text, or its text and how it is to be matched. */
export const newToken = z.union([z.string().min(1), addedToken])
export type NewToken = z.input<typeof newToken>
