import { AddedTokenMatcher } from './added-tokens'
import type { Engine, Placed } from './engine'
import { compileModel } from './models/compile'
import type { Model } from './models/model'
import { NormalizedText } from './normalized-text'
import { compileNormalizers, type Normalizer } from './normalizers/compile'
import { compilePreTokenizers, type PreTokenizer } from './pre-tokenizers/compile'
import { inexact, type Loading } from './read-step'
import type { AddedTokenJson, TokenizerJson } from './tokenizer-json'
import { once } from './unicode/tables'
import { type IdBuffer, UnitBuffer } from './units'

/** Called for each stretch of a text in order: an added token with its id, or text with id -1. */
type Visit = (text: NormalizedText, id: number) => void

/** Any tokenizer.json, step by step as Rust `tokenizers` does it: added tokens, normalizer, pre-tokenizer, model. */
export class GeneralEngine implements Engine {
  readonly name = 'general'
  reason: string | undefined
  private readonly normalizer: Normalizer
  private readonly preTokenizer: PreTokenizer
  /** Made when first needed: another engine may do almost all of the work. */
  private readonly model: () => Model
  private raw = new AddedTokenMatcher([])
  private normalized = new AddedTokenMatcher([])
  private readonly units = new UnitBuffer()
  private readonly normalizedUnits = new UnitBuffer()

  /** @throws {TunesmithError} `unsupported` by name, or `invalid_file`. */
  constructor(
    json: TokenizerJson,
    private readonly loading: Loading,
  ) {
    this.normalizer = compileNormalizers(json.normalizer, loading)
    this.preTokenizer = compilePreTokenizers(json.pre_tokenizer, loading)
    this.model = once(() => compileModel(json.model, loading))
  }

  /** Makes this the engine that runs, for a reason: the model is made now, so that what is wrong with it is known. */
  because(reason: string): this {
    this.reason = reason
    this.model()
    return this
  }

  setAddedTokens(tokens: readonly AddedTokenJson[]): void {
    const normalized = tokens.filter((t) => t.normalized).map((t) => [this.normalizeToken(t.content), t] as const)
    const seen = new Set<string>()
    const same = normalized.find(([content]) => seen.size === seen.add(content).size)
    if (same)
      throw inexact(
        `two added tokens that the normalizer makes ${JSON.stringify(same[0])} of: which of them Rust finds is left to chance`,
        this.loading.where,
        'Set "normalized" of one to false',
      )
    const empty = normalized.find(([content]) => content === '')
    if (empty)
      throw inexact(
        `the added token ${JSON.stringify(empty[1].content)}, of which the normalizer leaves nothing`,
        this.loading.where,
        'Set its "normalized" to false',
      )
    this.raw = new AddedTokenMatcher(tokens.filter((t) => !t.normalized).map((t) => [t.content, t] as const))
    this.normalized = new AddedTokenMatcher(normalized)
  }

  normalizeToken(content: string): string {
    const text = NormalizedText.of(content, 0)
    this.normalizer(text, { continued: false })
    return text.text
  }

  encode(text: string, out: IdBuffer, continued = false): void {
    const context = { continued }
    this.stretches(text, continued, (stretch, id) => {
      if (id !== -1) {
        out.push(id)
        return
      }
      for (const word of this.preTokenizer(stretch, context))
        if (word.text !== '') for (const token of this.model().tokenize(word.text).ids) out.push(token)
    })
  }

  encodeWithOffsets(text: string, out: IdBuffer): Placed {
    const offsets: [number, number][] = []
    const texts: (string | undefined)[] = []
    const context = { continued: false }
    this.stretches(text, false, (stretch, id) => {
      if (id !== -1) {
        out.push(id)
        offsets.push(stretch.range(0, stretch.text.length))
        texts.push(stretch.text)
        return
      }
      for (const word of this.preTokenizer(stretch, context)) {
        if (word.text === '') continue
        const tokens = this.model().tokenize(word.text)
        for (const [i, token] of tokens.ids.entries()) {
          out.push(token)
          offsets.push(word.range(tokens.spans[2 * i]!, tokens.spans[2 * i + 1]!))
          texts.push(tokens.texts?.[i])
        }
      }
    })
    return { offsets, texts }
  }

  /** The added tokens of a text, and the normalized stretches between them. */
  private stretches(text: string, continued: boolean, visit: Visit): void {
    const end = this.units.load(text)
    this.raw.split(this.units.units, 0, end, (from, to, id) => {
      const stretch = NormalizedText.of(from === 0 && to === text.length ? text : text.slice(from, to), from)
      if (id !== -1) {
        visit(stretch, id)
        return
      }
      this.normalizer(stretch, { continued })
      if (stretch.text === '') return
      if (this.normalized.size === 0) {
        // What is sliced begins where its first character comes from.
        visit(stretch.slice(0, stretch.text.length), -1)
        return
      }
      const length = this.normalizedUnits.load(stretch.text)
      this.normalized.split(this.normalizedUnits.units, 0, length, (a, b, token) => visit(stretch.slice(a, b), token))
    })
  }
}
