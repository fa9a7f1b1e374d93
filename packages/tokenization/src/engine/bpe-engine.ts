import { AddedTokenMatcher } from './added-tokens'
import { alignTokens } from './align'
import { ByteLevelBpe, CharacterBpe, type WordEncoder } from './bpe-model'
import type { Engine, Placed } from './engine'
import type { GeneralEngine } from './general-engine'
import { compileNormalizer, isPlain, type Normalizer } from './normalize'
import { compilePreTokenizer, type PreTokenizer } from './pre-tokenize'
import type { AddedTokenJson, BpeJson, TokenizerJson } from './tokenizer-json'
import { normalize } from './unicode/normal-forms'
import { type IdBuffer, UnitBuffer } from './units'
import { canCutUnjoinable, unjoinableSplitter } from './unjoinable'

type PieceVisit = (start: number, end: number, firstId: number, marked: boolean) => void

/** Everything about a tokenizer.json that the engine has found it can do exactly. */
interface Plan {
  normalizer: Normalizer
  preTokenizer: PreTokenizer
  model: BpeJson
}

/** What this engine would do for a tokenizer.json, or the reason why it cannot be exact. */
export function planBpe(json: TokenizerJson): Plan | string {
  if (json.model.type !== 'BPE' && !('merges' in json.model)) return `model type ${json.model.type}`
  const model = json.model as BpeJson
  if (model.dropout) return 'dropout'
  if (model.continuing_subword_prefix || model.end_of_word_suffix) return 'subword prefixes or suffixes'
  const normalizer = compileNormalizer(json.normalizer)
  if (typeof normalizer === 'string') return normalizer
  const preTokenizer = compilePreTokenizer(json.pre_tokenizer)
  if (typeof preTokenizer === 'string') return preTokenizer
  if (preTokenizer.byteLevel) {
    if (!ByteLevelBpe.covers(model) && !ByteLevelBpe.canMiss(model)) return 'bytes that the vocabulary lacks'
    if (normalizer.from !== -1 || normalizer.prepend) return 'a byte-level vocabulary with a space marker'
  } else if (!CharacterBpe.covers(model)) return 'a character vocabulary without byte fallback'
  return { normalizer, preTokenizer, model }
}

/** Byte-pair encoding of our own, used where it is exact; see `planBpe` for what that takes. */
export class BpeEngine implements Engine {
  readonly name = 'bpe'
  readonly reason = undefined
  private readonly words: WordEncoder
  private readonly splitters: PreTokenizer['splitters']
  private raw = new AddedTokenMatcher([])
  private normalized = new AddedTokenMatcher([])
  private readonly source = new UnitBuffer()
  private readonly piece = new UnitBuffer()
  private continued = false
  /** Whether a token's place in the text follows from the lengths of the tokens before it. */
  private readonly spelled: boolean

  /** @param general does what this engine knows the ids of, but not where they lie. */
  constructor(
    private readonly plan: Plan,
    private readonly tokenOf: (id: number) => string | undefined,
    private readonly general: GeneralEngine,
    where: string,
  ) {
    const { model, preTokenizer } = plan
    this.spelled = !preTokenizer.byteLevel || ByteLevelBpe.covers(model)
    this.words = preTokenizer.byteLevel ? new ByteLevelBpe(model, where) : new CharacterBpe(model, where)
    this.splitters = preTokenizer.splitters
    if (preTokenizer.byteLevel) return
    if (canCutUnjoinable(model, where)) this.splitters = [...this.splitters, unjoinableSplitter(model, where)]
  }

  setAddedTokens(tokens: readonly AddedTokenJson[]): void {
    this.general.setAddedTokens(tokens)
    this.raw = new AddedTokenMatcher(tokens.filter((t) => !t.normalized).map((t) => [t.content, t] as const))
    this.normalized = new AddedTokenMatcher(
      tokens.filter((t) => t.normalized).map((t) => [this.normalizeToken(t.content), t] as const),
    )
  }

  encode(text: string, out: IdBuffer, continued = false): void {
    const end = this.source.load(text)
    this.continued = continued
    this.raw.split(this.source.units, 0, end, (from, to, id) => {
      if (id === -1) this.encodeText(text, from, to, out)
      else out.push(id)
    })
  }

  encodeWithOffsets(text: string, out: IdBuffer): Placed {
    const { byteLevel } = this.plan.preTokenizer
    const { form } = this.plan.normalizer
    if (!this.spelled || (form && normalize(text, form) !== text)) return this.general.encodeWithOffsets(text, out)
    const offsets: [number, number][] = []
    const texts: (string | undefined)[] = []
    this.continued = false
    const end = this.source.load(text)
    this.raw.split(this.source.units, 0, end, (from, to, id) => {
      if (id !== -1) {
        out.push(id)
        offsets.push([from, to])
        texts[offsets.length - 1] = text.slice(from, to)
        return
      }
      const map = this.places(from, to)
      this.encodeText(text, from, to, out, (start, stop, ids, marked) => {
        const range = (a: number, b: number) =>
          offsets.push([map.start(Math.max(a, start)), map.end(Math.max(b, start + widthAt(this.piece.units, start)))])
        if (ids < 0) {
          range(start, stop)
          texts[offsets.length - 1] = String.fromCharCode(...this.piece.units.subarray(start, stop))
          return
        }
        const first = marked ? start - 1 : start
        for (const [a, b] of alignTokens(this.piece.units, first, stop, out, ids, this.tokenOf, byteLevel)) range(a, b)
      })
    })
    return { offsets, texts }
  }

  normalizeToken(text: string): string {
    const { form, prepend, from, to } = this.plan.normalizer
    let out = form ? normalize(text, form) : text
    if (prepend && out) out = prepend + out
    return from === -1 ? out : out.replaceAll(String.fromCharCode(from), String.fromCharCode(to))
  }

  /**
   * Encodes ordinary text. Its normalized form is left in `this.piece` from unit 1 on; `visit` hears of each stretch of it
   * between added tokens, with the place of its first id in `out` (-1: the stretch is an added token) and whether a
   * marker was put before it.
   */
  private encodeText(text: string, from: number, to: number, out: IdBuffer, visit?: PieceVisit): void {
    const { form, from: replaced, to: replacement } = this.plan.normalizer
    const goesOn = this.continued && from === 0
    const prepend = goesOn ? '' : this.plan.normalizer.prepend
    const { piece, plan } = this
    const source = from === 0 && to === text.length ? text : text.slice(from, to)
    const content = form && !(form === 'NFC' && isPlain(this.source.units, from, to)) ? normalize(source, form) : source
    const end = piece.load(content, 1 + prepend.length)
    for (let i = 0; i < prepend.length; i++) piece.units[1 + i] = prepend.charCodeAt(i)
    replaceUnit(piece.units, 1, end, replaced, replacement)
    const stretch = (start: number, stop: number, id: number) => {
      const first = out.length
      let marked = false
      if (id !== -1) out.push(id)
      else {
        const { scheme } = plan.preTokenizer
        marked = this.encodeStretch(
          start,
          stop,
          (scheme === 'always' && !(goesOn && start === 1)) ||
            (scheme === 'first' && !goesOn && from === 0 && start === 1),
          out,
        )
      }
      visit?.(start, stop, id === -1 ? first : -1, marked)
    }
    if (this.normalized.size === 0) stretch(1, end, -1)
    else this.normalized.split(piece.units, 1, end, stretch)
  }

  /** Pre-tokenizes and merges `piece[start..end)`; the unit before `start` is free for a marker. Returns whether it was used. */
  private encodeStretch(start: number, end: number, prepend: boolean, out: IdBuffer): boolean {
    const { from, to, prepend: marker } = this.plan.preTokenizer
    const { units } = this.piece
    replaceUnit(units, start, end, from, to)
    const marked = prepend && marker !== -1 && units[start] !== marker
    if (marked) units[start - 1] = marker
    this.walk(0, units, marked ? start - 1 : start, end, out)
    return marked
  }

  private walk(level: number, units: Uint16Array, start: number, end: number, out: IdBuffer): void {
    const { splitters, words } = this
    if (level === splitters.length) {
      words.encodeWord(units, start, end, out)
      return
    }
    const splitter = splitters[level]!
    const last = level + 1 === splitters.length
    while (start < end) {
      const stop = splitter(units, start, end)
      if (last) words.encodeWord(units, start, stop, out)
      else this.walk(level + 1, units, start, stop, out)
      start = stop
    }
  }

  /** Where the units of `text[from..to)`, which lies in `piece` from unit 1 on behind what was put before it, come from. */
  private places(from: number, to: number): { start(i: number): number; end(i: number): number } {
    const gap = 1 + this.plan.normalizer.prepend.length
    const first = widthAt(this.source.units, from)
    return { start: (i) => from + Math.max(0, i - gap), end: (i) => Math.min(to, from + Math.max(first, i - gap)) }
  }
}

/** How many units the character at `i` takes. */
function widthAt(units: Uint16Array, i: number): number {
  return (units[i]! & 0xfc00) === 0xd800 ? 2 : 1
}

function replaceUnit(units: Uint16Array, start: number, end: number, from: number, to: number): void {
  if (from === -1) return
  for (let i = start; i < end; i++) if (units[i] === from) units[i] = to
}
