import { z } from 'zod'
import type { TextContext } from '../context'
import type { NormalizedText } from '../normalized-text'
import { inexact, type Loading, pattern, readSequence, readStep } from '../read-step'
import { compilePattern } from '../regex/pattern'
import type { StepJson } from '../tokenizer-json'
import { COMBINING, classes, isWhiteSpace } from '../unicode/classes'
import { type Form, isNormal, normalForm } from '../unicode/normal-forms'
import { bertNormalizer } from './bert'
import { spellBytes } from './byte-level'
import { Charsmap } from './charsmap'
import { lowercase } from './lowercase'
import { nmt } from './nmt'
import { precompiled } from './precompiled'

export type Normalizer = (text: NormalizedText, context: TextContext) => void

const PLACE = 'normalizer'
const flag = z.boolean()

/** @throws {TunesmithError} `unsupported` by name, or `invalid_file`. */
export function compileNormalizers(json: StepJson | null, loading: Loading): Normalizer {
  if (json === null) return () => {}
  const read = <Shape extends z.ZodRawShape>(shape: Shape) => readStep(json, shape, PLACE, loading)
  switch (json.type) {
    case 'Sequence': {
      const steps = readSequence(json, 'normalizers', PLACE, loading).map((step) => compileNormalizers(step, loading))
      return (text, context) => {
        for (const step of steps) step(text, context)
      }
    }
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      read({})
      const form: Form = json.type
      return (text) => {
        if (!isNormal(text.text, form)) text.transform(normalForm(text.text, form), 0)
      }
    }
    case 'Lowercase':
      read({})
      return lowercase
    case 'Nmt':
      read({})
      return nmt
    case 'ByteLevel':
      read({})
      return (text) => {
        if (text.text !== '') spellBytes(text)
      }
    case 'StripAccents':
      read({})
      return (text) => text.filter((c) => (classes()[c]! & COMBINING) === 0)
    case 'Strip': {
      const { strip_left, strip_right } = read({ strip_left: flag, strip_right: flag })
      return (text) => strip(text, strip_left, strip_right)
    }
    case 'Prepend': {
      const { prepend } = read({ prepend: z.string() })
      return (text, { continued }) => {
        if (!(continued && text.from === 0)) text.prepend(prepend)
      }
    }
    case 'Replace': {
      const { content, ...rest } = read({ pattern, content: z.string() })
      const find = compilePattern(rest.pattern, `${PLACE} Replace`, loading.where)
      return (text) => {
        const matches = find(text.text)
        if (matches.length > 3 || matches[2] === 1) text.replace(matches, content)
      }
    }
    case 'Precompiled': {
      const { precompiled_charsmap } = read({ precompiled_charsmap: z.string() })
      return precompiled(Charsmap.parse(precompiled_charsmap, loading.where))
    }
    case 'BertNormalizer':
      return bertNormalizer(
        read({
          clean_text: flag,
          handle_chinese_chars: flag,
          strip_accents: flag.nullable().default(null),
          lowercase: flag,
        }),
      )
    default:
      throw inexact(`normalizer ${json.type}`, loading.where)
  }
}

/** What is left of the text keeps its place; the whole original still belongs to it. */
function strip(text: NormalizedText, left: boolean, right: boolean): void {
  const { text: old } = text
  let start = 0
  let end = old.length
  if (left) while (start < end && isWhiteSpace(old.charCodeAt(start))) start++
  if (right) while (end > start && isWhiteSpace(old.charCodeAt(end - 1))) end--
  if (end - start < old.length) text.cut(start, end)
}
