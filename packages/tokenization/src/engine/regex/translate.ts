import { checkBacktracking } from './backtracking'
import { type Node, parseRegex, Untranslatable } from './parse'
import { type CodeSet, classOf, contains, words } from './sets'

/**
 * Rewrites an expression of Oniguruma for JavaScript (flag `u`), with every class spelled out as recorded from the original.
 *
 * What would take time without bound is refused: a repeat of something that can itself be matched in several ways.
 *
 * @throws {Untranslatable}
 */
export function translateRegex(source: string): string {
  const node = parseRegex(source)
  checkBacktracking(node)
  let groups = 0
  const emit = (part: Node, backwards: boolean): string => {
    switch (part.kind) {
      case 'set':
        return part.set.length === 0 ? '[]' : classOf(part.set)
      case 'sequence':
        return part.parts.map((child) => emit(child, backwards)).join('')
      case 'either':
        return `(?:${part.parts.map((child) => emit(child, backwards)).join('|')})`
      case 'place':
        return place(part.at)
      case 'ahead':
        return `(?=${emit(part.body, false)})`
      case 'not-ahead':
        return `(?!${emit(part.body, false)})`
      case 'behind':
        return `(?<=${emit(part.body, true)})`
      case 'not-behind':
        return `(?<!${emit(part.body, true)})`
      case 'atomic':
        return atomic(part.body, backwards)
      case 'repeat': {
        const { body, min, max, mode } = part
        if (!Number.isFinite(max) && !isPlain(body)) throw new Untranslatable('a repeat of what can vary in length')
        const count =
          min === 0 && max === 1
            ? '?'
            : max === Number.POSITIVE_INFINITY
              ? min === 0
                ? '*'
                : min === 1
                  ? '+'
                  : `{${min},}`
              : `{${min},${max}}`
        if (mode === 'possessive') return atomic({ ...part, mode: 'greedy' }, backwards)
        return `(?:${emit(body, backwards)})${count}${mode === 'lazy' ? '?' : ''}`
      }
    }
  }
  // JavaScript has no atomic groups, but what a lookahead has found is never tried again.
  const atomic = (body: Node, backwards: boolean): string => {
    if (backwards) throw new Untranslatable('an atomic group in a lookbehind')
    const inner = emit(body, false)
    // Groups within have their numbers before this one, but their parentheses come after it.
    groups++
    return `(?=(?<a${groups}>${inner}))\\k<a${groups}>`
  }
  return emit(node, false)
}

function place(at: Extract<Node, { kind: 'place' }>['at']): string {
  const word = classOf(words())
  switch (at) {
    case 'text-start':
      return '^'
    case 'text-end':
      return '$'
    case 'last-line':
      return '(?=\\n?$)'
    case 'line-start':
      return '(?:^|(?<=\\n)(?!$))'
    case 'line-end':
      return '(?=\\n|$)'
    case 'boundary':
      return `(?:(?<=${word})(?!${word})|(?<!${word})(?=${word}))`
    case 'inside':
      return `(?:(?<=${word})(?=${word})|(?<!${word})(?!${word}))`
  }
}

/** Whether there is only one way to match a text again and again: fixed parts, and alternatives that begin differently. */
function isPlain(node: Node): boolean {
  switch (node.kind) {
    case 'set':
      return true
    case 'sequence':
      return node.parts.length > 0 && node.parts.every(isPlain)
    case 'repeat':
      return node.min === node.max && node.min > 0 && isPlain(node.body)
    case 'either': {
      const firsts = node.parts.map(firstOf)
      return (
        node.parts.every(isPlain) &&
        firsts.every((a, i) => a !== undefined && firsts.every((b, k) => k <= i || (b !== undefined && disjoint(a, b))))
      )
    }
    default:
      return false
  }
}

function firstOf(node: Node): CodeSet | undefined {
  if (node.kind === 'set') return node.set
  if (node.kind === 'sequence') return node.parts[0] && firstOf(node.parts[0])
  if (node.kind === 'repeat') return firstOf(node.body)
  return undefined
}

function disjoint(a: CodeSet, b: CodeSet): boolean {
  return !a.some((c) => contains(b, c)) && !b.some((c) => contains(a, c))
}
