import { TemplateSyntaxFault } from '../values/fault'
import { describeToken, type Token } from './tokens'

/** The tokens with a place in them. A test names a type, or `name:word` for one word. */
export class TokenStream {
  private at = 0

  constructor(private readonly tokens: readonly Token[]) {}

  get current(): Token {
    return this.tokens[this.at]
  }

  /** The token after the current one. */
  get following(): Token {
    return this.tokens[Math.min(this.at + 1, this.tokens.length - 1)]
  }

  /** Goes on, and gives the token it leaves. */
  next(): Token {
    const token = this.current
    if (token.type !== 'eof') this.at++
    return token
  }

  is(...tests: string[]): boolean {
    return tests.some((test) => matches(this.current, test))
  }

  followedBy(test: string): boolean {
    return matches(this.following, test)
  }

  skipIf(test: string): boolean {
    const skips = this.is(test)
    if (skips) this.next()
    return skips
  }

  expect(test: string): Token {
    if (this.is(test)) return this.next()
    const wanted = test.replace('name:', '').replace('_', ' ')
    if (this.current.type === 'eof') this.fail(`unexpected end of template, expected '${wanted}'`)
    return this.fail(`expected token '${wanted}', got '${describeToken(this.current)}'`)
  }

  expectName(): string {
    return this.expect('name').value as string
  }

  fail(message: string, line = this.current.line): never {
    throw new TemplateSyntaxFault(message, line)
  }
}

function matches(token: Token, test: string): boolean {
  if (token.type === test) return true
  return token.type === 'name' && test.startsWith('name:') && token.value === test.slice(5)
}
