import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import { invalidData, unsupported } from '@tunesmith/core'
import { ByteLevelBpe } from './bpe-model'
import type { Engine, Placed } from './engine'
import { type AddedTokenJson, type BpeJson, type Pattern, stepsOf, type TokenizerJson } from './tokenizer-json'
import type { IdBuffer } from './units'

/** `@huggingface/tokenizers` as it is. */
export class LibraryEngine implements Engine {
  readonly name = 'library'
  private tokenizer!: LibraryTokenizer

  constructor(
    private readonly json: TokenizerJson,
    readonly reason: string,
    private readonly where: string,
  ) {
    this.setAddedTokens(json.added_tokens)
  }

  setAddedTokens(tokens: readonly AddedTokenJson[]): void {
    try {
      this.tokenizer = new LibraryTokenizer({ ...this.json, added_tokens: tokens }, {})
    } catch (error) {
      throw unsupported(`This tokenizer cannot be used: ${(error as Error).message}`, {
        where: this.where,
        cause: error,
      })
    }
  }

  normalizeToken(content: string): string {
    return content
  }

  encode(text: string, out: IdBuffer): void {
    if (text === '') return
    for (const id of this.tokenizer.encode(text, { add_special_tokens: false }).ids) {
      if (id === undefined)
        throw invalidData('The text has a token that is not in the vocabulary, and there is no unknown token', {
          where: this.where,
        })
      out.push(id)
    }
  }

  encodeWithOffsets(): Placed {
    throw unsupported(`The library does not say where tokens lie: ${this.reason}`, {
      where: this.where,
      remedy: 'Leave fastEngine out',
    })
  }
}

/**
 * Why the library is not known to do what Rust does with this tokenizer.json; undefined where it is proven to, by the
 * differential test: byte-pair encodings that lack no byte, with plain added tokens, and nothing that asks for Unicode's
 * classes or normal forms, which follow this Node's version of Unicode there.
 *
 * @param plan whether our fast engine is exact for it, or the reason why not.
 */
export function whyNotLibrary(json: TokenizerJson, plan: object | string): string | undefined {
  if (typeof plan === 'string') return plan
  const model = json.model as BpeJson
  const form = stepsOf(json.normalizer, 'normalizers').find(({ type }) => type.startsWith('NF'))
  if (form) return `the normalizer ${form.type}`
  const steps = stepsOf(json.pre_tokenizer, 'pretokenizers')
  const byteLevel = steps.some((step) => step.type === 'ByteLevel')
  if (byteLevel && !ByteLevelBpe.covers(model)) return 'a vocabulary that lacks some bytes'
  for (const token of json.added_tokens)
    for (const flag of ['single_word', 'lstrip', 'rstrip', 'normalized'] as const)
      if (token[flag]) return `added tokens with ${flag}`
  for (const step of steps) {
    if (step.type === 'Metaspace' && step.prepend_scheme === 'first' && step.split === false) continue
    if (step.type === 'Split' && !byteLevel && 'String' in (step.pattern as Pattern)) continue
    if (step.type === 'ByteLevel' && step.use_regex === false && !step.add_prefix_space) continue
    return `this pre-tokenizer ${step.type}`
  }
  return undefined
}
