/** What the lexer cuts a template into. Operators and brackets have themselves as their type. */
export type Token =
  | { type: 'data' | 'name' | 'string'; line: number; value: string }
  | { type: 'integer'; line: number; value: number | bigint }
  | { type: 'float'; line: number; value: number }
  | { type: Mark | OperatorText; line: number; value: string }

export type Mark = 'variable_begin' | 'variable_end' | 'block_begin' | 'block_end' | 'eof'

export const OPERATORS = [
  ...['//', '**', '==', '!=', '>=', '<='],
  ...['+', '-', '/', '*', '%', '~', '[', ']', '(', ')', '{', '}', '>', '<', '=', '.', ':', '|', ',', ';'],
] as const
export type OperatorText = (typeof OPERATORS)[number]

export function describeToken(token: Token): string {
  if (token.type === 'name') return token.value
  return (
    { eof: 'end of template', block_end: 'end of statement block', variable_end: 'end of print statement' }[
      token.type as string
    ] ?? token.type
  )
}
