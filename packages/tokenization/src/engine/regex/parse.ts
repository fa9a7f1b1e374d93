import {
  type CodeSet,
  complement,
  contains,
  digits,
  hexDigits,
  intersection,
  lineEnd,
  property,
  spaces,
  union,
  words,
  wordsInBrackets,
} from './sets'

export type Node =
  | { kind: 'set'; set: CodeSet }
  | { kind: 'sequence' | 'either'; parts: Node[] }
  | { kind: 'repeat'; body: Node; min: number; max: number; mode: 'greedy' | 'lazy' | 'possessive' }
  | { kind: 'atomic' | 'ahead' | 'not-ahead' | 'behind' | 'not-behind'; body: Node }
  | { kind: 'place'; at: 'text-start' | 'text-end' | 'last-line' | 'line-start' | 'line-end' | 'boundary' | 'inside' }

/** Why an expression is not translated: it means something that JavaScript cannot say, or nothing at all. */
export class Untranslatable extends Error {}

const SIMPLE_ESCAPES: Record<string, number> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7, e: 27 }
const PLACES: Record<string, 'text-start' | 'text-end' | 'last-line' | 'boundary' | 'inside'> = {
  A: 'text-start',
  z: 'text-end',
  Z: 'last-line',
  b: 'boundary',
  B: 'inside',
}
const POSIX = new Map<string, () => CodeSet | undefined>([
  ['alpha', () => property('alpha')],
  ['digit', digits],
  ['space', spaces],
  ['word', wordsInBrackets],
])
/** Letters that together are folded into one ligature, or the sharp s. */
const JOINED = /^(?:ss|st|ff|fi|fl)/i

/**
 * Parses an expression of Oniguruma in Ruby's syntax, which is what `tokenizers` compiles.
 *
 * @throws {Untranslatable}
 */
export function parseRegex(source: string): Node {
  let at = 0
  let depth = 0

  const refuse = (what: string) => new Untranslatable(`${what} at position ${at}`)
  const eat = (text: string) => {
    if (!source.startsWith(text, at)) return false
    at += text.length
    return true
  }

  function alternatives(fold: boolean): Node {
    if (++depth > 100) throw refuse('groups nested over 100 deep')
    const parts = [sequence(fold)]
    while (eat('|')) parts.push(sequence(fold))
    depth--
    return parts.length === 1 ? parts[0]! : { kind: 'either', parts }
  }

  function sequence(fold: boolean): Node {
    const parts: Node[] = []
    while (at < source.length && source[at] !== '|' && source[at] !== ')') {
      if (fold && JOINED.test(source.slice(at))) throw refuse('letters that fold into a ligature')
      // `(?i)` in the middle holds for the rest of the group, alternatives included.
      if (eat('(?i)')) parts.push(alternatives(true))
      else parts.push(repeated(atom(fold)))
    }
    return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts }
  }

  function repeated(body: Node): Node {
    const interval = /^\{(\d*)(,?)(\d*)\}/.exec(source.slice(at))
    let node: Node
    if (interval && (interval[1] !== '' || interval[3] !== '')) {
      const [whole, low, comma, high] = interval as unknown as [string, string, string, string]
      at += whole.length
      const min = Number(low || 0)
      const max = comma === '' ? min : high === '' ? Number.POSITIVE_INFINITY : Number(high)
      if (min > max || min > 1000 || (max !== Number.POSITIVE_INFINITY && max > 1000)) throw refuse('a repeat count')
      node = { kind: 'repeat', body, min, max, mode: 'greedy' }
      // In Ruby `{n}?` is an optional `{n}`, and a plus repeats the whole.
      if (comma !== '' && eat('?')) node.mode = 'lazy'
      else if (eat('?')) node = { kind: 'repeat', body: node, min: 0, max: 1, mode: 'greedy' }
      else if (body.kind === 'set' && min <= 1 && eat('+')) node = { ...node, max: Number.POSITIVE_INFINITY }
      else if (eat('+')) node = { kind: 'repeat', body: node, min: 1, max: Number.POSITIVE_INFINITY, mode: 'greedy' }
    } else {
      const sign = source[at]
      if (sign !== '*' && sign !== '+' && sign !== '?') return body
      at++
      const mode = eat('?') ? 'lazy' : eat('+') ? 'possessive' : 'greedy'
      node = { kind: 'repeat', body, min: sign === '+' ? 1 : 0, max: sign === '?' ? 1 : Number.POSITIVE_INFINITY, mode }
    }
    if (body.kind === 'place' || /^(?:[*+?]|\{\d*,?\d*\})/.test(source.slice(at))) throw refuse('a repeat of that kind')
    return node
  }

  function atom(fold: boolean): Node {
    const char = source[at]!
    if (char === '(') return group(fold)
    if (char === '[') return { kind: 'set', set: bracket(fold) }
    if (char === '.') {
      at++
      return { kind: 'set', set: complement(lineEnd) }
    }
    if (char === '^' || char === '$') {
      at++
      return { kind: 'place', at: char === '^' ? 'line-start' : 'line-end' }
    }
    if (char === '*' || char === '+' || char === '?') throw refuse('nothing to repeat')
    if (char === '\\') {
      const place = PLACES[source[at + 1] ?? '']
      if (place !== undefined) {
        at += 2
        return { kind: 'place', at: place }
      }
      return { kind: 'set', set: folded(escaped(words), fold) }
    }
    return { kind: 'set', set: folded(literal(), fold) }
  }

  function literal(): CodeSet {
    const c = source.codePointAt(at)!
    at += c > 0xffff ? 2 : 1
    return [c, c]
  }

  function group(fold: boolean): Node {
    const heads: [string, (body: () => Node) => Node][] = [
      ['(?:', (body) => body()],
      ['(?i:', () => alternatives(true)],
      ['(?-i:', () => alternatives(false)],
      ['(?>', (body) => ({ kind: 'atomic', body: body() })],
      ['(?=', (body) => ({ kind: 'ahead', body: body() })],
      ['(?!', (body) => ({ kind: 'not-ahead', body: body() })],
      ['(?<=', (body) => ({ kind: 'behind', body: body() })],
      ['(?<!', (body) => ({ kind: 'not-behind', body: body() })],
    ]
    for (const [head, make] of heads)
      if (eat(head)) {
        const node = make(() => alternatives(fold))
        if (!eat(')')) throw refuse('an open group')
        return node
      }
    if (source[at + 1] === '?') throw refuse(`the group ${source.slice(at, at + 4)}`)
    at++
    const node = alternatives(fold)
    if (!eat(')')) throw refuse('an open group')
    return node
  }

  function escaped(wordSet: () => CodeSet): CodeSet {
    const rest = source.slice(at)
    const named = /^\\([pP])\{(\^?)([^}^]+)\}/.exec(rest)
    if (named) {
      const set = property(named[3]!)
      if (set === undefined) throw refuse(`the property ${named[3]}`)
      at += named[0].length
      return (named[1] === 'P') !== (named[2] === '^') ? complement(set) : set
    }
    const numbered = /^\\(?:x\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4}))/.exec(rest)
    if (numbered) {
      const c = Number.parseInt((numbered[1] ?? numbered[2] ?? numbered[3])!, 16)
      // `\xHH` is a byte there: above ASCII it is part of a character.
      if (c > 0x10ffff || (numbered[2] !== undefined && c > 0x7f)) throw refuse('a character number')
      at += numbered[0].length
      return [c, c]
    }
    const letter = source[at + 1]
    if (letter === undefined) throw refuse('a lone backslash')
    const set = { s: spaces, d: digits, w: wordSet, h: () => hexDigits }[letter.toLowerCase()]
    if (set !== undefined) {
      at += 2
      return letter === letter.toLowerCase() ? set() : complement(set())
    }
    const simple = SIMPLE_ESCAPES[letter]
    if (simple !== undefined) {
      at += 2
      return [simple, simple]
    }
    if (/[a-zA-Z0-9]/.test(letter)) throw refuse(`the escape \\${letter}`)
    at++
    return literal()
  }

  /** A class in brackets: the union of its items, and the intersection of what `&&` joins. */
  function bracket(fold: boolean): CodeSet {
    if (++depth > 100) throw refuse('classes nested over 100 deep')
    at++
    const negated = eat('^')
    if (source[at] === ']') throw refuse('an empty class')
    let result: CodeSet | undefined
    let items: CodeSet[] = []
    const join = () => {
      const part = union(...items)
      result = result === undefined ? part : intersection(result, part)
      items = []
    }
    while (!eat(']')) {
      if (at >= source.length) throw refuse('an open class')
      if (eat('&&')) {
        join()
        continue
      }
      const posix = /^\[:(\^?)(\w+):\]/.exec(source.slice(at))
      if (posix) {
        const set = POSIX.get(posix[2]!)?.()
        if (set === undefined) throw refuse(`the class ${posix[0]}`)
        at += posix[0].length
        items.push(posix[1] === '^' ? complement(set) : set)
      } else if (source[at] === '[') items.push(bracket(fold))
      else {
        const first = source[at] === '\\' ? escaped(wordsInBrackets) : literal()
        const single = first.length === 2 && first[0] === first[1]
        if (single && source[at] === '-' && source[at + 1] !== ']' && source[at + 1] !== '[') {
          at++
          const last = source[at] === '\\' ? escaped(wordsInBrackets) : literal()
          if (last.length !== 2 || last[0] !== last[1] || last[0]! < first[0]!) throw refuse('a range')
          items.push([first[0]!, last[0]!])
        } else items.push(first)
      }
    }
    join()
    depth--
    const set = folded(result!, fold)
    return negated ? complement(set) : set
  }

  /** A set under `(?i)`: ASCII letters in both cases, with the long s and the Kelvin sign, which fold into them. */
  function folded(set: CodeSet, fold: boolean): CodeSet {
    if (!fold) return set
    const more: number[] = []
    for (let c = 0x41; c <= 0x5a; c++) {
      const both = [c, c + 32, ...(c === 0x53 ? [0x17f] : c === 0x4b ? [0x212a] : [])]
      const some = both.filter((letter) => contains(set, letter))
      if (some.length > 0) more.push(...both.flatMap((letter) => [letter, letter]))
    }
    const ascii = set.every((c) => c < 0x80)
    const whole = union(set, ...pairs(more))
    // Any other set must be one that case does not change, as all letters together are.
    if (!ascii && (whole.length !== set.length || !isCaseless(set))) throw refuse('case that is not ASCII')
    return whole
  }

  const node = alternatives(false)
  if (at < source.length) throw refuse('a closing parenthesis')
  return node
}

function* pairs(flat: number[]): Generator<CodeSet> {
  for (let i = 0; i < flat.length; i += 2) yield [flat[i]!, flat[i + 1]!]
}

function isCaseless(set: CodeSet): boolean {
  return ['L', 'N', 'P', 'S', 'Z', 'M', 'C'].every((name) => {
    const part = intersection(set, property(name)!)
    // Numbers, symbols and marks have letter-like members with case; only whole categories or none of them are safe.
    return part.length === 0 || part.length === property(name)!.length || !hasCase(part)
  })
}

function hasCase(set: CodeSet): boolean {
  let count = 0
  for (let i = 0; i < set.length; i += 2)
    for (let c = set[i]!; c <= set[i + 1]!; c++) {
      const char = String.fromCodePoint(c)
      if (char.toLowerCase() !== char || char.toUpperCase() !== char) return true
      if (++count > 200_000) return true
    }
  return false
}
