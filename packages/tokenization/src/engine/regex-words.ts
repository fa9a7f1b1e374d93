import type { WordSplitter } from './split-words'
import * as recorded from './unicode-classes.data'

/** The properties that are recorded. Any other would follow this Node's ICU, which moves characters from release to release. */
const TABLES = new Map([
  ['L', recorded.LETTERS],
  ['Lu', recorded.UPPERCASE],
  ['Ll', recorded.LOWERCASE],
  ['Lt', recorded.TITLECASE],
  ['Lm', recorded.MODIFIERS],
  ['Lo', recorded.OTHER_LETTERS],
  ['M', recorded.MARKS],
  ['N', recorded.NUMBERS],
  ['Nd', recorded.DIGITS],
  ['P', recorded.PUNCTUATION],
  ['S', recorded.SYMBOLS],
])

/** The ranges of a class recorded from the original, as the inside of a JavaScript character class. */
function ranges(table: string): string {
  const numbers = table.split(' ').map((word) => Number.parseInt(word, 36))
  let out = ''
  for (let i = 0, at = 0; i < numbers.length; i += 2) {
    const first = at + numbers[i]!
    at = first + numbers[i + 1]!
    out += `\\u{${first.toString(16)}}${at > first ? `-\\u{${at.toString(16)}}` : ''}`
  }
  return out
}

/** Letters that also match one ligature or the sharp s when case does not matter. */
const JOINED = /^(?:ss|st|ff|fi|fl)/i

/** Folds a letter as `(?i:...)` does; the long s and the Kelvin sign are the only letters outside ASCII that fold into it. */
function bothCases(letter: string): string {
  const lower = letter.toLowerCase()
  const more = lower === 's' ? '\u017f' : lower === 'k' ? '\u212a' : ''
  return `[${lower}${lower.toUpperCase()}${more}]`
}

/**
 * Rewrites an expression of the Oniguruma engine (which `tokenizers` uses) for JavaScript, with `\s` and the Unicode properties
 * spelled out as recorded from the original. Undefined for what means something else here, or nothing.
 */
export function translateRegex(source: string): string | undefined {
  let out = ''
  let inClass = false
  const fold: boolean[] = []
  for (let i = 0; i < source.length; ) {
    const rest = source.slice(i)
    const char = source[i]!
    const property = /^\\([pP])\{(\^?)(\w+)\}/.exec(rest)
    if (property) {
      const [whole, kind, negation, name] = property as unknown as [string, string, string, string]
      if (negation || (kind === 'P' && inClass)) return undefined
      const table = TABLES.get(name)
      if (table === undefined || fold.at(-1)) return undefined
      const inside = ranges(table)
      out += inClass ? inside : `[${kind === 'P' ? '^' : ''}${inside}]`
      i += whole.length
    } else if (char === '\\') {
      const next = source[i + 1]
      if (next === undefined) return undefined
      if (next === 's') out += inClass ? ranges(recorded.SPACES) : `[${ranges(recorded.SPACES)}]`
      else if (next === 'S') {
        if (inClass) return undefined
        out += `[^${ranges(recorded.SPACES)}]`
      } else if (/[rntfv]/.test(next)) out += `\\${next}`
      else if (/[a-zA-Z0-9]/.test(next)) return undefined
      else out += /[\^$\\.*+?()[\]{}|/]/.test(next) || (inClass && next === '-') ? `\\${next}` : next
      i += 2
    } else if (inClass) {
      // A class inside a class, an intersection: sets that JavaScript writes otherwise.
      if (char === '[' || rest.startsWith('&&')) return undefined
      if (char === ']') inClass = false
      out += char
      i++
    } else if (char === '[') {
      if (fold.at(-1)) return undefined // would have to fold what the class holds
      inClass = true
      const negated = source[i + 1] === '^'
      out += negated ? '[^' : '['
      i += negated ? 2 : 1
      if (source[i] === ']') return undefined
    } else if (char === '(') {
      const head = /^\((\?(?:i:|:|!|=|<!|<=))?/.exec(rest)![0]
      if (head === '(' && source[i + 1] === '?') return undefined
      fold.push(head === '(?i:' || (fold.at(-1) ?? false))
      out += head === '(?i:' || head === '(' ? '(?:' : head
      i += head.length
    } else if (char === ')') {
      fold.pop()
      out += char
      i++
    } else if (/[+*?}]/.test(char) && source[i + 1] === '+') {
      return undefined // possessive
    } else if (char === '}' && source[i + 1] === '?') {
      return undefined // an optional repeat there, a lazy one here
    } else {
      if (char === '$' || char === '^' || char === '.') return undefined // lines mean something else there
      if (fold.at(-1) && (char > '\u007f' || JOINED.test(rest))) return undefined
      out += fold.at(-1) && /[a-zA-Z]/.test(char) ? bothCases(char) : char
      i++
    }
  }
  return inClass ? undefined : out
}

/** A splitter for any expression that can be translated; what no match covers is a word of its own. */
export function regexSplitter(source: string): WordSplitter | undefined {
  const translated = translateRegex(source)
  if (translated === undefined) return undefined
  let regex: RegExp
  try {
    regex = new RegExp(translated, 'gu')
  } catch {
    return undefined
  }
  // The text of the stretch being cut, made once: each call goes on where the last one stopped.
  let text = ''
  let base = 0
  let stopped = -1
  let limit = -1
  return (units, start, end) => {
    if (start !== stopped || end !== limit) {
      text = Buffer.from(units.buffer, units.byteOffset + start * 2, (end - start) * 2).toString('utf16le')
      base = start
      limit = end
    }
    regex.lastIndex = start - base
    stopped = end
    for (let match = regex.exec(text); match; match = regex.exec(text)) {
      if (match[0] === '') regex.lastIndex += (text.codePointAt(match.index) ?? 0) > 0xffff ? 2 : 1
      else {
        stopped = base + match.index + (match.index + base > start ? 0 : match[0].length)
        break
      }
    }
    return stopped
  }
}
