import { TemplateSyntaxFault } from '../values/fault'
import { isIdentifier } from '../values/letters'
import { SPACE, stripRight } from '../values/text'
import { normalInt } from '../values/value'
import { unescapeString } from './string-escapes'
import { type Mark, OPERATORS, type OperatorText, type Token } from './tokens'

/**
 * Cuts a template into tokens, with the settings transformers gives Jinja2: `trim_blocks` (the newline after a block is
 * dropped), `lstrip_blocks` (spaces before a block at the start of a line are dropped), and one newline at the end dropped.
 */
export function tokenize(source: string): Token[] {
  return new Lexer(source.replace(/\r\n?/g, '\n').replace(/\n$/, '')).run()
}

const S = `[${SPACE}]`
const sticky = (pattern: string, flags = '') => new RegExp(pattern, `y${flags}`)

const TAG = /\{[{%#]/g
const RAW_BEGIN = sticky(`\\{%([-+]?)${S}*raw${S}*(?:-%\\}${S}*|%\\})`)
const RAW_END = new RegExp(`\\{%([-+]?)${S}*endraw${S}*(?:\\+%\\}|-%\\}${S}*|%\\}\\n?)`, 'g')
const COMMENT_END = new RegExp(`\\+#\\}|-#\\}${S}*|#\\}\\n?`, 'g')
const BLOCK_END = sticky(`\\+%\\}|-%\\}${S}*|%\\}\\n?`)
const VARIABLE_END = sticky(`-\\}\\}${S}*|\\}\\}`)

const BLANK = sticky(`${S}+`)
const FLOAT = sticky('(?<!\\.)(?:\\d+_)*\\d+(?:(?:\\.(?:\\d+_)*\\d+)?e[+-]?(?:\\d+_)*\\d+|\\.(?:\\d+_)*\\d+)', 'i')
const INTEGER = sticky('0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\\da-f])+|[1-9](?:_?\\d)*|0(?:_?0)*', 'i')
const NAME = sticky('[\\p{XID_Continue}\\p{N}]+', 'u')
const STRING = sticky(`'[^'\\\\]*(?:\\\\.[^'\\\\]*)*'|"[^"\\\\]*(?:\\\\.[^"\\\\]*)*"`, 's')
const OPERATOR = sticky(OPERATORS.map((text) => text.replace(/[-+*/%~[\](){}><=.:|,;!]/g, '\\$&')).join('|'))

/** What may stand inside a tag, in the order it is tried, and the token it makes. */
const INSIDE: readonly [RegExp, (text: string, line: number) => Token | undefined][] = [
  [BLANK, () => undefined],
  [FLOAT, (text, line) => ({ type: 'float', line, value: Number(text.replaceAll('_', '')) })],
  [INTEGER, (text, line) => ({ type: 'integer', line, value: normalInt(BigInt(text.replaceAll('_', ''))) })],
  [NAME, nameToken],
  [STRING, (text, line) => ({ type: 'string', line, value: unescapeString(text.slice(1, -1), line) })],
  [OPERATOR, (text, line) => ({ type: text as OperatorText, line, value: text })],
]

function nameToken(value: string, line: number): Token {
  if (!isIdentifier(value)) throw new TemplateSyntaxFault('Invalid character in identifier', line)
  return { type: 'name', line, value }
}

const CLOSERS: Record<string, string> = { '(': ')', '[': ']', '{': '}' }

class Lexer {
  private readonly tokens: Token[] = []
  private at = 0
  private line = 1
  /** Whether what comes next begins a line of the template. */
  private lineStarting = true

  constructor(private readonly source: string) {}

  run(): Token[] {
    while (this.at < this.source.length) this.root()
    this.push('eof', '')
    return this.tokens
  }

  /** Text up to the next tag, and that tag. */
  private root(): void {
    TAG.lastIndex = this.at
    const found = TAG.exec(this.source)
    if (!found) {
      this.data(this.source.slice(this.at))
      this.at = this.source.length
      return
    }
    const start = found.index
    const raw = found[0] === '{%' ? this.match(RAW_BEGIN, start) : undefined
    const afterTag = this.source[start + 2]
    const sign = raw ? raw[1] : afterTag === '-' || afterTag === '+' ? afterTag : ''
    this.text(this.source.slice(this.at, start), sign, found[0] !== '{{')
    this.advance(start, raw ? raw[0].length : 2 + sign.length)
    if (raw) this.raw()
    else if (found[0] === '{#') this.comment()
    else this.tag(found[0] === '{{' ? 'variable' : 'block')
  }

  private match(pattern: RegExp, at: number): RegExpExecArray | undefined {
    pattern.lastIndex = at
    return pattern.exec(this.source) ?? undefined
  }

  /** Goes past a part that is no data. */
  private advance(start: number, length: number): void {
    const part = this.source.slice(start, start + length)
    this.line += newlines(part)
    this.at = start + length
    this.lineStarting = part.endsWith('\n')
  }

  /** Text before a tag, stripped as the tag wants it. */
  private text(text: string, sign: string, stripsLine: boolean): void {
    let kept = text
    if (sign === '-') kept = stripRight(text)
    else if (sign === '' && stripsLine) {
      const lineStart = text.lastIndexOf('\n') + 1
      const before = text.slice(lineStart)
      if ((lineStart > 0 || this.lineStarting) && before !== '' && stripRight(before) === '')
        kept = text.slice(0, lineStart)
    }
    this.data(kept)
    this.line += newlines(text)
  }

  private data(text: string): void {
    if (text !== '') this.tokens.push({ type: 'data', line: this.line, value: text })
  }

  private push(type: Mark | OperatorText, value: string): void {
    this.tokens.push({ type, line: this.line, value })
  }

  private comment(): void {
    // Jinja2 forgives a tag that opens at the very end.
    if (this.at >= this.source.length) return
    COMMENT_END.lastIndex = this.at
    const end = COMMENT_END.exec(this.source)
    if (!end) throw new TemplateSyntaxFault('Missing end of comment tag', this.line)
    this.advance(this.at, end.index + end[0].length - this.at)
  }

  private raw(): void {
    if (this.at >= this.source.length) return
    RAW_END.lastIndex = this.at
    const end = RAW_END.exec(this.source)
    if (!end) throw new TemplateSyntaxFault('Missing end of raw directive', this.line)
    this.text(this.source.slice(this.at, end.index), end[1], true)
    this.advance(end.index, end[0].length)
  }

  /** The inside of a tag, up to its end. */
  private tag(kind: 'variable' | 'block'): void {
    this.push(`${kind}_begin`, '')
    const open: string[] = []
    const ending = kind === 'variable' ? VARIABLE_END : BLOCK_END
    while (this.at < this.source.length) {
      const end = open.length === 0 ? this.match(ending, this.at) : undefined
      if (end) {
        this.push(`${kind}_end`, '')
        this.advance(this.at, end[0].length)
        return
      }
      this.inside(open)
    }
  }

  /** One token inside of a tag, or the space between two. */
  private inside(open: string[]): void {
    const { at, line } = this
    for (const [pattern, read] of INSIDE) {
      const found = this.match(pattern, at)
      if (!found) continue
      const token = read(found[0], line)
      if (token) this.tokens.push(token)
      if (pattern === OPERATOR) this.balance(found[0], open)
      this.advance(at, found[0].length)
      return
    }
    throw new TemplateSyntaxFault(`unexpected char '${String.fromCodePoint(this.source.codePointAt(at)!)}'`, line)
  }

  private balance(operator: string, open: string[]): void {
    if (CLOSERS[operator]) open.push(CLOSERS[operator])
    else if (')]}'.includes(operator)) {
      const expected = open.pop()
      if (expected === undefined) throw new TemplateSyntaxFault(`unexpected '${operator}'`, this.line)
      if (expected !== operator)
        throw new TemplateSyntaxFault(`unexpected '${operator}', expected '${expected}'`, this.line)
    }
  }
}

function newlines(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count++
  return count
}
