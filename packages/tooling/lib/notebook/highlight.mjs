/** TypeScript as HTML with a class per kind of token, told apart by TypeScript's own scanner. */
import ts from 'typescript'

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

export const escapeHtml = (text) => text.replace(/[&<>"']/g, (character) => ENTITIES[character])

const K = ts.SyntaxKind
const STRINGS = new Set([
  K.StringLiteral,
  K.NoSubstitutionTemplateLiteral,
  K.TemplateHead,
  K.TemplateMiddle,
  K.TemplateTail,
  K.RegularExpressionLiteral,
])
const COMMENTS = new Set([K.SingleLineCommentTrivia, K.MultiLineCommentTrivia])

function kindOf(token) {
  if (COMMENTS.has(token)) return 'comment'
  if (STRINGS.has(token)) return 'string'
  if (token === K.NumericLiteral || token === K.BigIntLiteral) return 'number'
  if (token >= K.FirstReservedWord && token <= K.LastFutureReservedWord) return 'keyword'
  return [K.AsyncKeyword, K.AwaitKeyword, K.OfKeyword, K.FromKeyword, K.TypeKeyword, K.SatisfiesKeyword].includes(token)
    ? 'keyword'
    : ''
}

/** After these a slash divides; after anything else it begins a regular expression. */
const ENDS_OPERAND = new Set([
  K.Identifier,
  K.NumericLiteral,
  K.StringLiteral,
  K.CloseParenToken,
  K.CloseBracketToken,
  K.CloseBraceToken,
])

export function highlight(code) {
  const scanner = ts.createScanner(ts.ScriptTarget.Latest, false, ts.LanguageVariant.Standard, code)
  // For each open brace, whether it is the `${` of a template, whose end has to be read as template text again.
  const braces = []
  let html = ''
  let previous = K.Unknown
  for (;;) {
    let token = scanner.scan()
    if (token === K.EndOfFileToken) return html
    if (token === K.TemplateHead) braces.push(true)
    else if (token === K.OpenBraceToken) braces.push(false)
    else if (token === K.CloseBraceToken && braces.pop()) {
      token = scanner.reScanTemplateToken(false)
      if (token === K.TemplateMiddle) braces.push(true)
    } else if ((token === K.SlashToken || token === K.SlashEqualsToken) && !ENDS_OPERAND.has(previous))
      token = scanner.reScanSlashToken()
    const kind = kindOf(token)
    const text = escapeHtml(scanner.getTokenText())
    html += kind ? `<span class="${kind}">${text}</span>` : text
    if (token > K.LastTriviaToken) previous = token
  }
}
