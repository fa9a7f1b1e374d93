/** The tree of a template, after Jinja2's nodes. Every node knows its line, from 1. */

export type Expression =
  | { type: 'const'; line: number; value: null | boolean | number | bigint | string | { float: number } }
  | { type: 'name'; line: number; name: string }
  | { type: 'tuple' | 'list'; line: number; items: Expression[] }
  | DictExpression
  | { type: 'condition'; line: number; test: Expression; value: Expression; otherwise: Expression | undefined }
  | { type: 'and' | 'or'; line: number; left: Expression; right: Expression }
  | { type: 'not' | 'negative' | 'positive'; line: number; operand: Expression }
  | { type: 'compare'; line: number; first: Expression; rest: { operator: ComparisonOperator; operand: Expression }[] }
  | { type: 'binary'; line: number; operator: BinaryOperator; left: Expression; right: Expression }
  | { type: 'concat'; line: number; items: Expression[] }
  | { type: 'attribute'; line: number; object: Expression; name: string }
  | { type: 'item'; line: number; object: Expression; key: Expression | Slice }
  | CallExpression
  | FilterExpression
  | TestExpression

export type ComparisonOperator = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in'
export type BinaryOperator = '+' | '-' | '*' | '/' | '//' | '%' | '**'

export interface Slice {
  type: 'slice'
  line: number
  start: Expression | undefined
  stop: Expression | undefined
  step: Expression | undefined
}

/** The arguments of a call, filter or test. */
export interface Arguments {
  positional: Expression[]
  named: { name: string; value: Expression }[]
  /** `*list` */
  spread: Expression | undefined
  /** `**dict` */
  namedSpread: Expression | undefined
}

export interface DictExpression {
  type: 'dict'
  line: number
  items: { key: Expression; value: Expression }[]
}

export interface CallExpression {
  type: 'call'
  line: number
  callee: Expression
  args: Arguments
}

export interface FilterExpression {
  type: 'filter'
  line: number
  name: string
  /** Undefined at the start of a filter block, where it is the block's text. */
  operand: Expression | undefined
  args: Arguments
}

export interface TestExpression {
  type: 'test'
  line: number
  name: string
  operand: Expression
  args: Arguments
}

/** What a value can be assigned to. */
export type Target =
  | { type: 'name'; line: number; name: string }
  | { type: 'namespace attribute'; line: number; name: string; attribute: string }
  | { type: 'tuple'; line: number; items: Target[] }

export interface Parameters {
  names: string[]
  /** Of the last parameters. */
  defaults: Expression[]
}

export type Statement =
  | { type: 'output'; line: number; items: (Expression | { type: 'data'; line: number; text: string })[] }
  | ForStatement
  | IfStatement
  | MacroStatement
  | CallBlock
  | { type: 'filter block'; line: number; filter: Expression; body: Statement[] }
  | { type: 'with'; line: number; targets: Target[]; values: Expression[]; body: Statement[] }
  | { type: 'set'; line: number; target: Target; value: Expression }
  | { type: 'set block'; line: number; target: Target; filter: Expression | undefined; body: Statement[] }
  | { type: 'autoescape'; line: number; value: Expression; body: Statement[] }
  | BlockStatement
  | { type: 'break' | 'continue'; line: number }

export interface ForStatement {
  type: 'for'
  line: number
  target: Target
  iterable: Expression
  test: Expression | undefined
  recursive: boolean
  body: Statement[]
  otherwise: Statement[]
}

export interface IfStatement {
  type: 'if'
  line: number
  test: Expression
  body: Statement[]
  elifs: IfStatement[]
  otherwise: Statement[]
}

export interface MacroStatement {
  type: 'macro'
  line: number
  name: string
  parameters: Parameters
  body: Statement[]
}

/** `{% call %}`, or with `generation` transformers' `{% generation %}`, whose call is its own. */
export interface CallBlock {
  type: 'call block'
  line: number
  call: CallExpression | 'generation'
  parameters: Parameters
  body: Statement[]
}

export interface BlockStatement {
  type: 'block'
  line: number
  name: string
  scoped: boolean
  required: boolean
  body: Statement[]
}
