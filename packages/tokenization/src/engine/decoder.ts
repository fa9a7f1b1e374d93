import { z } from 'zod'
import { CHAR_TO_BYTE } from './bytes'
import { readMetaspace } from './pre-tokenizers/metaspace'
import { char, inexact, type Loading, pattern, readSequence, readStep } from './read-step'
import { compilePattern } from './regex/pattern'
import type { StepJson } from './tokenizer-json'

type DecodeStep = (tokens: string[]) => string[]

const lossy = new TextDecoder('utf-8', { ignoreBOM: true })
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })

/** GPT-2's clean-up of spaces before punctuation, which WordPiece decoders apply to each token. */
function cleanUp(text: string): string {
  return text
    .replaceAll(' .', '.')
    .replaceAll(' ?', '?')
    .replaceAll(' !', '!')
    .replaceAll(' ,', ',')
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(' do not', " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re")
}

/** All tokens' bytes together; a token with a character outside the byte alphabet stands for its own UTF-8. */
function byteLevel(tokens: string[]): string[] {
  const bytes: number[] = []
  for (const token of tokens) {
    const mark = bytes.length
    for (let i = 0; i < token.length; i++) {
      const unit = token.charCodeAt(i)
      const byte = unit < CHAR_TO_BYTE.length ? CHAR_TO_BYTE[unit]! : -1
      if (byte === -1) {
        bytes.length = mark
        for (const b of Buffer.from(token)) bytes.push(b)
        break
      }
      bytes.push(byte)
    }
  }
  return [lossy.decode(Uint8Array.from(bytes))]
}

/** The byte of a token like `<0x0A>`, or -1. The original reads the number with a parser that takes a plus sign. */
function byteOfToken(token: string): number {
  const match = /^<0x([0-9A-Fa-f]{2}|\+[0-9A-Fa-f])>$/.exec(token)
  return match ? Number.parseInt(match[1]!, 16) : -1
}

/** A run of byte tokens is text when the whole run is UTF-8; otherwise every byte of it is one replacement character. */
function byteFallback(tokens: string[]): string[] {
  const out: string[] = []
  let run: number[] = []
  const flush = () => {
    if (run.length === 0) return
    try {
      out.push(strict.decode(Uint8Array.from(run)))
    } catch {
      for (const _ of run) out.push('\ufffd')
    }
    run = []
  }
  for (const token of tokens) {
    const byte = byteOfToken(token)
    if (byte !== -1) run.push(byte)
    else {
      flush()
      out.push(token)
    }
  }
  flush()
  return out
}

function strip(content: string, start: number, stop: number): DecodeStep {
  return (tokens) =>
    tokens.map((token) => {
      const chars = [...token]
      let from = 0
      while (from < start && chars[from] === content) from++
      let to = chars.length
      for (let n = 0; n < stop && to > from && chars[to - 1] === content; n++) to--
      return chars.slice(from, to).join('')
    })
}

/** Replaces every `wanted`; an empty one is found between all characters. */
function replaceAll(text: string, wanted: string, content: string): string {
  if (wanted === '') return content + Array.from(text, (c) => c + content).join('')
  return text.replaceAll(wanted, () => content)
}

/** What connectionist temporal classification leaves: repeated tokens count once, the padding between them goes. */
function ctc(padToken: string, delimiter: string, cleanup: boolean): DecodeStep {
  return (tokens) =>
    tokens
      .filter((token, i) => i === 0 || token !== tokens[i - 1])
      .map((token) => {
        const text = replaceAll(token, padToken, '')
        return cleanup ? replaceAll(cleanUp(text), delimiter, ' ') : text
      })
      .filter((text) => text !== '')
}

const PLACE = 'decoder'

function compileStep(step: StepJson, loading: Loading): DecodeStep {
  const read = <Shape extends z.ZodRawShape>(shape: Shape) => readStep(step, shape, PLACE, loading)
  switch (step.type) {
    case 'Sequence': {
      const steps = readSequence(step, 'decoders', PLACE, loading).map((inner) => compileStep(inner, loading))
      return (tokens) => steps.reduce((list, inner) => inner(list), tokens)
    }
    case 'ByteLevel':
      read({ add_prefix_space: z.boolean(), trim_offsets: z.boolean(), use_regex: z.boolean().default(true) })
      return byteLevel
    case 'ByteFallback':
      read({})
      return byteFallback
    case 'Fuse':
      read({})
      return (tokens) => [tokens.join('')]
    case 'Replace': {
      const { content, ...rest } = read({ pattern, content: z.string() })
      const find = compilePattern(rest.pattern, `${PLACE} Replace`, loading.where)
      return (tokens) =>
        tokens.map((token) => {
          const matches = find(token)
          let out = ''
          for (let i = 0; i < matches.length; i += 3)
            out += matches[i + 2] === 1 ? content : token.slice(matches[i], matches[i + 1])
          return out
        })
    }
    case 'Strip': {
      const count = z.int().min(0)
      const { content, start, stop } = read({ content: char, start: count, stop: count })
      return strip(content, start, stop)
    }
    case 'Metaspace': {
      const { replacement, scheme } = readMetaspace(step, PLACE, loading)
      // Every marker of the first token goes, not only a leading one: that is what the original does.
      return (tokens) => tokens.map((t, i) => t.replaceAll(replacement, i === 0 && scheme !== 'never' ? '' : ' '))
    }
    case 'BPEDecoder': {
      const { suffix } = read({ suffix: z.string().default('</w>') })
      return (tokens) => tokens.map((t, i) => replaceAll(t, suffix, i === tokens.length - 1 ? '' : ' '))
    }
    case 'WordPiece': {
      const { prefix, cleanup } = read({ prefix: z.string().default('##'), cleanup: z.boolean() })
      return (tokens) =>
        tokens.map((token, i) => {
          const text = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`
          return cleanup ? cleanUp(text) : text
        })
    }
    case 'CTC': {
      const texts = read({ pad_token: z.string(), word_delimiter_token: z.string(), cleanup: z.boolean() })
      return ctc(texts.pad_token, texts.word_delimiter_token, texts.cleanup)
    }
    default:
      throw inexact(`decoder ${step.type}`, loading.where)
  }
}

/**
 * The decoder of a tokenizer.json as a function from tokens to text. Without one, tokens are joined with blanks.
 *
 * @throws {TunesmithError} `unsupported` by name, or `invalid_file`.
 */
export function compileDecoder(json: StepJson | null, loading: Loading): (tokens: string[]) => string {
  if (json === null) return (tokens) => tokens.join(' ')
  const step = compileStep(json, loading)
  return (tokens) => step(tokens).join('')
}
