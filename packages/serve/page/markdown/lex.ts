import { Lexer, type Token, type Tokens } from 'marked'

/** Characters of a text that is read as Markdown at most. */
const LONGEST = 100_000
/** Characters of one paragraph that is looked through for emphasis and links: that takes time with the square of its length. */
const LONGEST_PARAGRAPH = 8000
/** Lists in lists, quotes in quotes: beyond this nobody can read it, and drawing it would end the browser's stack. */
const DEEPEST = 40

const plain = (text: string): Token[] => [{ type: 'plain', raw: text }]

function inside(token: Token): readonly Token[][] {
  if (token.type === 'list') return (token as Tokens.List).items.map(({ tokens }) => tokens)
  if (token.type === 'table') {
    const { header, rows } = token as Tokens.Table
    return [header, ...rows].flat().map(({ tokens }) => tokens)
  }
  return 'tokens' in token && token.tokens ? [token.tokens] : []
}

const isDeep = (tokens: readonly Token[], room = DEEPEST): boolean =>
  tokens.some((token) => room === 0 || inside(token).some((inner) => isDeep(inner, room - 1)))

/** Marked's tokens of a text. One that would take too long, or is nested too deep to be drawn, is one token of the type `plain`. */
export function lex(text: string): Token[] {
  if (text.length > LONGEST) return plain(text)
  try {
    const lexer = new Lexer({ gfm: true, breaks: true })
    lexer.blockTokens(text, lexer.tokens)
    for (const { src, tokens } of lexer.inlineQueue) {
      if (src.length <= LONGEST_PARAGRAPH) lexer.inlineTokens(src, tokens)
      else tokens.push({ type: 'text', raw: src, text: src })
    }
    return isDeep(lexer.tokens) ? plain(text) : [...lexer.tokens]
  } catch {
    // Quotes nested thousands deep end marked's recursion.
    return plain(text)
  }
}
