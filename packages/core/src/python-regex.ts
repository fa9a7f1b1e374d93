import { createContext, Script } from 'node:vm'
import { unsupported } from './errors'

/** Longer than any expression that a person writes. */
const MOST_CHARACTERS = 10_000
/** What an expression may take for all the texts that it is held against one after the other. */
const MILLISECONDS = 1000
/** Less than this is the cost of the call. */
const FREE_MILLISECONDS = 2
/** After such a break an expression begins anew. */
const BREAK_MILLISECONDS = 5000

/** Parts of an expression, the longest first: classes, groups, escapes, quantifiers and the rest. */
const PARTS =
  /\[\^?\]?(?:\\[\s\S]|[^\]\\])*\]|\(\?P<\w+>|\(\?P=\w+\)|\(\?#[^)]*\)|\(\?(?:[=!:]|<[=!])|\(\?|\\[\s\S]|\{,\d+\}[+]?|\{\d+(?:,\d*)?\}[+]?|[*+?][+]|[\s\S]/g

/** Escapes of both languages. */
const SAME = /^\\(?:[dDwWsSbBfnrtv]|[1-9]|[^A-Za-z0-9])$/

/** Python's syntax in that of JavaScript; a construct that has no counterpart there throws an error with its name. */
function translate(pattern: string): { source: string; flags: string } {
  const global = /^\(\?([aimsuL]+)\)/.exec(pattern)
  const letters = global?.[1] ?? ''
  if (letters.includes('L') || letters.includes('m')) throw new Error(`the flags "${letters}"`)
  const flags = [...'is'].filter((flag) => letters.includes(flag)).join('')
  const body = pattern.slice(global?.[0].length ?? 0)
  const source = body.replace(PARTS, (part) => {
    if (part.startsWith('[')) {
      if (part === '[') throw new Error('a class that does not end')
      // Python takes a bracket right at the beginning for a character of the class.
      return part.replace(/^(\[\^?)\]/, '$1\\]').replace(/\\[\s\S]/g, (written) => translateEscape(written))
    }
    if (part.startsWith('(?P<')) return `(?<${part.slice(4)}`
    if (part.startsWith('(?P=')) return `\\k<${part.slice(4, -1)}>`
    if (part.startsWith('(?#')) return ''
    if (part === '(?') throw new Error('a group of another kind than JavaScript has')
    if (part.startsWith('\\')) return translateEscape(part)
    if (part.length > 1 && part.endsWith('+')) throw new Error('a possessive quantifier')
    if (part.startsWith('{,')) return `{0,${part.slice(2)}`
    // A brace that is no quantifier stands for itself.
    return part === '{' || part === '}' ? `\\${part}` : part
  })
  return { source, flags }
}

function translateEscape(written: string): string {
  if (written === '\\A') return '^'
  if (written === '\\Z') return '$'
  if (written === '\\a') return '\\x07'
  if (SAME.test(written)) return written
  throw new Error(`the escape ${written}`)
}

const context = createContext({ expression: undefined as RegExp | undefined, text: '' })
const run = new Script('expression.exec(text)')

interface Compiled {
  expression: RegExp
  spent: number
  lastUse: number
}
const compiled = new Map<string, Compiled>()

function compile(pattern: string, before: string, after: string, where: string): Compiled {
  const key = JSON.stringify([before, pattern, after])
  const known = compiled.get(key)
  if (known) return known
  const fail = (why: string, cause?: unknown) =>
    unsupported(`The regular expression ${JSON.stringify(pattern.slice(0, 80))} cannot be used: it has ${why}`, {
      where,
      remedy: 'Write it with plain groups, classes and quantifiers, or name the modules one by one',
      cause,
    })
  if (pattern.length > MOST_CHARACTERS) throw fail(`${pattern.length} characters`)
  let expression: RegExp
  try {
    const { source, flags } = translate(pattern)
    expression = new RegExp(`^(?:${before}(?:${source})${after})`, flags)
  } catch (error) {
    const { message } = error as Error
    throw fail(error instanceof SyntaxError ? `an error (${message})` : message, error)
  }
  if (compiled.size > 2000) compiled.clear()
  const entry = { expression, spent: 0, lastUse: 0 }
  compiled.set(key, entry)
  return entry
}

export interface PythonRegexOptions {
  /** The file and key that the expression comes from. */
  where: string
  /** Expressions in JavaScript's syntax around it. Default none. */
  before?: string
  after?: string
}

/**
 * What Python's `re.match(before + pattern + after, text)` finds: a regular expression out of a file, in Python's syntax and within
 * bounded time: a second for all the texts of a model together.
 *
 * @throws {TunesmithError} `unsupported` for an expression that is wrong, that JavaScript has no counterpart of, or that takes too long.
 */
export function pythonMatch(
  pattern: string,
  text: string,
  { where, before = '', after = '' }: PythonRegexOptions,
): readonly (string | undefined)[] | undefined {
  const entry = compile(pattern, before, after, where)
  const { expression } = entry
  // Without choices nothing can take long; most names of modules are such.
  if (/^[\w.-]*$/.test(pattern)) return expression.exec(text) ?? undefined
  const start = performance.now()
  if (start - entry.lastUse > BREAK_MILLISECONDS) entry.spent = 0
  try {
    Object.assign(context, { expression, text })
    const timeout = Math.max(1, Math.ceil(MILLISECONDS - entry.spent))
    return (run.runInContext(context, { timeout }) as RegExpExecArray | null) ?? undefined
  } catch (error) {
    throw unsupported(`The regular expression ${JSON.stringify(pattern.slice(0, 80))} takes too long`, {
      where,
      remedy: 'Write it without repetitions within repetitions, or name the modules one by one',
      cause: error,
    })
  } finally {
    entry.lastUse = performance.now()
    entry.spent += Math.max(0, entry.lastUse - start - FREE_MILLISECONDS)
  }
}

/** Whether Python's `re.fullmatch(pattern, text)` finds something; otherwise as {@link pythonMatch}. */
export const pythonFullMatch = (pattern: string, text: string, where: string): boolean =>
  pythonMatch(pattern, text, { where, after: '$' }) !== undefined
