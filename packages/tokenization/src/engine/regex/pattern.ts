import type { Matches } from '../normalized-text'
import { inexact } from '../read-step'
import type { Pattern } from '../tokenizer-json'
import { Untranslatable } from './parse'
import { translateRegex } from './translate'

/** Finds all matches of a pattern, with the gaps between them. */
export type Finder = (text: string) => Matches

/**
 * A pattern of a Split or Replace step.
 *
 * @throws {TunesmithError} `unsupported`, with the reason, for an expression that JavaScript cannot say exactly.
 */
export function compilePattern(pattern: Pattern, what: string, where: string): Finder {
  if ('String' in pattern) return literalFinder(pattern.String)
  return regexFinder(compileRegex(pattern.Regex, what, where))
}

/** @throws {TunesmithError} `unsupported` */
export function compileRegex(source: string, what: string, where: string): RegExp {
  try {
    return new RegExp(translateRegex(source), 'gu')
  } catch (error) {
    if (!(error instanceof Untranslatable || error instanceof SyntaxError)) throw error
    throw inexact(`${what} by the expression ${JSON.stringify(source)}: ${error.message}`, where)
  }
}

function literalFinder(wanted: string): Finder {
  if (wanted === '') return regexFinder(/(?:)/gu)
  return (text) => {
    const out: Matches = []
    let done = 0
    for (let at = text.indexOf(wanted); at !== -1; at = text.indexOf(wanted, done)) {
      if (done < at) out.push(done, at, 0)
      done = at + wanted.length
      out.push(at, done, 1)
    }
    if (done < text.length || text === '') out.push(done, text.length, 0)
    return out
  }
}

function regexFinder(regex: RegExp): Finder {
  return (text) => {
    if (text === '') return [0, 0, 0]
    const out: Matches = []
    let done = 0
    let lastEnd = -1
    regex.lastIndex = 0
    for (let match = regex.exec(text); match; match = regex.exec(text)) {
      const start = match.index
      const end = start + match[0].length
      if (start === end) {
        // An empty match right after another one does not count; the search goes on behind the next character.
        const counts = end !== lastEnd
        regex.lastIndex = counts ? end : nextChar(text, end)
        if (!counts) {
          if (end >= text.length) break
          continue
        }
      }
      if (done < start) out.push(done, start, 0)
      out.push(start, end, 1)
      done = lastEnd = end
    }
    if (done < text.length) out.push(done, text.length, 0)
    return out
  }
}

function nextChar(text: string, at: number): number {
  return at + ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1)
}
