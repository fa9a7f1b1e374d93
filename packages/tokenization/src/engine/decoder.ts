import { byteOfToken, CHAR_TO_BYTE } from './bytes'
import { type Pattern, type StepJson, stepsOf } from './tokenizer-json'

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

function metaspace(step: StepJson): DecodeStep {
  const marker = String(step.replacement ?? '▁')
  const legacy = step.add_prefix_space === false ? 'never' : 'always'
  const trims = (step.prepend_scheme ?? legacy) !== 'never'
  return (tokens) =>
    // Every marker of the first token goes, not only a leading one: that is what the original does.
    tokens.map((token, i) => token.replaceAll(marker, i === 0 && trims ? '' : ' '))
}

function compileStep(step: StepJson): DecodeStep | string {
  switch (step.type) {
    case 'ByteLevel':
      return byteLevel
    case 'ByteFallback':
      return byteFallback
    case 'Fuse':
      return (tokens) => [tokens.join('')]
    case 'Replace': {
      const pattern = step.pattern as Pattern
      if (!('String' in pattern)) return `decoder Replace by ${pattern.Regex}`
      return (tokens) => tokens.map((token) => token.replaceAll(pattern.String, () => String(step.content)))
    }
    case 'Strip':
      return strip(String(step.content), Number(step.start), Number(step.stop))
    case 'Metaspace':
      return metaspace(step)
    case 'BPEDecoder': {
      const suffix = String(step.suffix ?? '</w>')
      return (tokens) => tokens.map((t, i) => t.replaceAll(suffix, i === tokens.length - 1 ? '' : ' '))
    }
    case 'WordPiece': {
      const prefix = String(step.prefix ?? '##')
      return (tokens) =>
        tokens.map((token, i) => {
          const text = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`
          return step.cleanup ? cleanUp(text) : text
        })
    }
    default:
      return `decoder ${step.type}`
  }
}

/** The decoder of a tokenizer.json as a function from tokens to text, or the reason why it has none here. */
export function compileDecoder(json: StepJson | null): ((tokens: string[]) => string) | string {
  if (!json) return (tokens) => tokens.join(' ')
  const steps: DecodeStep[] = []
  for (const step of stepsOf(json, 'decoders')) {
    const compiled = compileStep(step)
    if (typeof compiled === 'string') return compiled
    steps.push(compiled)
  }
  return (tokens) => steps.reduce((list, step) => step(list), tokens).join('')
}
