import { regexSplitter } from './regex-words'
import { GPT2_REGEX, type WordSplitter, wordSplitterFor } from './split-words'
import { type Pattern, type StepJson, stepsOf } from './tokenizer-json'
import { NUMERIC, classes as rustClasses } from './unicode/classes'
import { codePointAt } from './units'

/** Whether a pre-tokenizer puts its space marker before a piece: always, at the start of the text only, or never. */
export type PrependScheme = 'always' | 'first' | 'never'

/** A compiled pre-tokenizer: what to change in a piece, then how to cut it, level by level. */
export interface PreTokenizer {
  /** Replaced in place before cutting (Metaspace); -1 for none. */
  from: number
  to: number
  /** Put before a piece that does not start with it. */
  prepend: number
  scheme: PrependScheme
  splitters: WordSplitter[]
  byteLevel: boolean
}

/** Compiles the pre-tokenizers that are exact here; a string says what is not. */
export function compilePreTokenizer(json: StepJson | null): PreTokenizer | string {
  const out: PreTokenizer = { from: -1, to: -1, prepend: -1, scheme: 'never', splitters: [], byteLevel: false }
  const steps = stepsOf(json, 'pretokenizers')
  for (const [at, step] of steps.entries()) {
    if (out.byteLevel) return `pre-tokenizer ${step.type} after ByteLevel`
    if (step.type === 'ByteLevel') {
      if (step.add_prefix_space) {
        if (at > 0) return 'ByteLevel with add_prefix_space after another pre-tokenizer'
        out.prepend = 0x20
        out.scheme = 'always'
      }
      if (step.use_regex !== false) out.splitters.push(wordSplitterFor(GPT2_REGEX)!)
      out.byteLevel = true
    } else if (step.type === 'Metaspace') {
      if (at > 0) return 'Metaspace after another pre-tokenizer'
      const marker = String(step.replacement ?? '▁')
      if (step.add_prefix_space === false && (step.prepend_scheme ?? 'never') !== 'never')
        return 'Metaspace that contradicts itself'
      if (marker.length !== 1) return `Metaspace with replacement ${JSON.stringify(marker)}`
      out.from = 0x20
      out.to = out.prepend = marker.charCodeAt(0)
      const legacy = step.add_prefix_space === false ? 'never' : 'always'
      out.scheme = (step.prepend_scheme as PrependScheme | undefined) ?? legacy
      if (step.split !== false) out.splitters.push(beforeUnit(out.to))
    } else {
      const splitter = compileSplitter(step)
      if (typeof splitter === 'string') return splitter
      out.splitters.push(splitter)
    }
  }
  return out
}

function compileSplitter(step: StepJson): WordSplitter | string {
  if (step.type === 'Digits') return digits(step.individual_digits === true)
  if (step.type !== 'Split') return `pre-tokenizer ${step.type}`
  const pattern = (step.pattern ?? {}) as Pattern
  if ('Regex' in pattern && typeof pattern.Regex === 'string') {
    const splitter =
      wordSplitterFor(pattern.Regex) ?? (step.behavior === 'Isolated' ? regexSplitter(pattern.Regex) : undefined)
    // With `Removed` and `invert` the matches are kept and the gaps dropped; these expressions leave no gaps.
    const keepsAll = step.behavior === 'Isolated' || (step.behavior === 'Removed' && step.invert === true)
    return splitter && keepsAll ? splitter : `pre-tokenizer Split by ${pattern.Regex} (${step.behavior})`
  }
  if (!('String' in pattern) || typeof pattern.String !== 'string') return 'a Split without a pattern'
  if (pattern.String.length === 1 && step.invert !== true) {
    const unit = pattern.String.charCodeAt(0)
    if (step.behavior === 'MergedWithPrevious') return afterUnit(unit)
    if (step.behavior === 'MergedWithNext') return beforeUnit(unit)
    if (step.behavior === 'Isolated') return aroundUnit(unit)
  }
  return `pre-tokenizer Split by ${JSON.stringify(pattern.String)} (${step.behavior})`
}

const beforeUnit =
  (unit: number): WordSplitter =>
  (units, start, end) => {
    let i = start + 1
    while (i < end && units[i] !== unit) i++
    return i
  }

const afterUnit =
  (unit: number): WordSplitter =>
  (units, start, end) => {
    let i = start
    while (i < end && units[i] !== unit) i++
    return Math.min(i + 1, end)
  }

const aroundUnit =
  (unit: number): WordSplitter =>
  (units, start, end) => {
    if (units[start] === unit) return start + 1
    let i = start + 1
    while (i < end && units[i] !== unit) i++
    return i
  }

function digits(individual: boolean): WordSplitter {
  const classes = rustClasses()
  return (units, start, end) => {
    let isNumber = false
    for (let i = start; i < end; ) {
      const c = codePointAt(units, i, end)
      const number = (classes[c]! & NUMERIC) !== 0
      if (i === start) isNumber = number
      else if (number !== isNumber) return i
      i += c > 0xffff ? 2 : 1
      if (number && individual) return i
    }
    return end
  }
}
