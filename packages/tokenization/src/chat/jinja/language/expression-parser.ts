import type {
  Arguments,
  BinaryOperator,
  CallExpression,
  ComparisonOperator,
  Expression,
  FilterExpression,
  Slice,
} from './ast'
import type { TokenStream } from './token-stream'
import { describeToken } from './tokens'

const COMPARISONS = ['==', '!=', '<', '<=', '>', '>=']
const NO_ARGUMENTS: Arguments = { positional: [], named: [], spread: undefined, namedSpread: undefined }
/** Deeper ones are no template's; each level takes many calls of the parser. */
const DEEPEST = 100

/** Parses expressions, from the loosest binding to the tightest, after Jinja2's own parser. */
export class ExpressionParser {
  private depth = 0

  constructor(protected readonly stream: TokenStream) {}

  /** One expression; `conditions: false` leaves a following `if` alone. */
  expression(conditions = true): Expression {
    if (++this.depth > DEEPEST) this.stream.fail(`expressions are nested more than ${DEEPEST} deep`)
    const result = conditions ? this.condition() : this.or()
    this.depth--
    return result
  }

  /** Expressions with commas between them are a tuple. */
  tuple(options: { conditions?: boolean; end?: string; inParentheses?: boolean } = {}): Expression {
    const { line } = this.stream.current
    const items: Expression[] = []
    let isTuple = false
    while (true) {
      if (items.length > 0) this.stream.expect(',')
      if (this.atTupleEnd(options.end)) break
      items.push(this.expression(options.conditions))
      if (!this.stream.is(',')) break
      isTuple = true
    }
    if (isTuple) return { type: 'tuple', line, items }
    if (items.length > 0) return items[0]
    if (!options.inParentheses) this.stream.fail(`Expected an expression, got '${describeToken(this.stream.current)}'`)
    return { type: 'tuple', line, items }
  }

  protected atTupleEnd(end?: string): boolean {
    return this.stream.is('variable_end', 'block_end', ')') || (end !== undefined && this.stream.is(end))
  }

  private condition(): Expression {
    let { line } = this.stream.current
    let result = this.or()
    while (this.stream.skipIf('name:if')) {
      const test = this.or()
      const otherwise = this.stream.skipIf('name:else') ? this.nested(() => this.condition()) : undefined
      result = { type: 'condition', line, test, value: result, otherwise }
      line = this.stream.current.line
    }
    return result
  }

  private nested(parse: () => Expression): Expression {
    if (++this.depth > DEEPEST) this.stream.fail(`expressions are nested more than ${DEEPEST} deep`)
    const result = parse()
    this.depth--
    return result
  }

  private or(): Expression {
    let { line } = this.stream.current
    let left = this.and()
    while (this.stream.skipIf('name:or')) {
      left = { type: 'or', line, left, right: this.and() }
      line = this.stream.current.line
    }
    return left
  }

  private and(): Expression {
    let { line } = this.stream.current
    let left = this.not()
    while (this.stream.skipIf('name:and')) {
      left = { type: 'and', line, left, right: this.not() }
      line = this.stream.current.line
    }
    return left
  }

  private not(): Expression {
    if (!this.stream.is('name:not')) return this.comparison()
    const { line } = this.stream.next()
    return { type: 'not', line, operand: this.nested(() => this.not()) }
  }

  private comparison(): Expression {
    const { line } = this.stream.current
    const first = this.sum()
    const rest: { operator: ComparisonOperator; operand: Expression }[] = []
    while (true) {
      if (this.stream.is(...COMPARISONS)) {
        const operator = this.stream.next().type as ComparisonOperator
        rest.push({ operator, operand: this.sum() })
      } else if (this.stream.skipIf('name:in')) rest.push({ operator: 'in', operand: this.sum() })
      else if (this.stream.is('name:not') && this.stream.followedBy('name:in')) {
        this.stream.next()
        this.stream.next()
        rest.push({ operator: 'not in', operand: this.sum() })
      } else break
    }
    return rest.length === 0 ? first : { type: 'compare', line, first, rest }
  }

  private binary(operators: BinaryOperator[], operand: () => Expression): Expression {
    let { line } = this.stream.current
    let left = operand()
    while (this.stream.is(...operators)) {
      const operator = this.stream.next().type as BinaryOperator
      left = { type: 'binary', line, operator, left, right: operand() }
      line = this.stream.current.line
    }
    return left
  }

  private sum(): Expression {
    return this.binary(['+', '-'], () => this.concatenation())
  }

  private concatenation(): Expression {
    const { line } = this.stream.current
    const items = [this.product()]
    while (this.stream.skipIf('~')) items.push(this.product())
    return items.length === 1 ? items[0] : { type: 'concat', line, items }
  }

  private product(): Expression {
    return this.binary(['*', '/', '//', '%'], () => this.power())
  }

  private power(): Expression {
    return this.binary(['**'], () => this.unary())
  }

  private unary(filters = true): Expression {
    const { line } = this.stream.current
    let result: Expression
    if (this.stream.skipIf('-')) result = { type: 'negative', line, operand: this.nested(() => this.unary(false)) }
    else if (this.stream.skipIf('+')) result = { type: 'positive', line, operand: this.nested(() => this.unary(false)) }
    else result = this.primary()
    result = this.postfix(result)
    return filters ? this.filtersAndTests(result) : result
  }

  primary(): Expression {
    const token = this.stream.current
    const { line } = token
    switch (token.type) {
      case 'name':
        this.stream.next()
        return named(token.value, line)
      case 'string': {
        let value = ''
        while (this.stream.is('string')) value += this.stream.next().value
        return { type: 'const', line, value }
      }
      case 'integer':
        this.stream.next()
        return { type: 'const', line, value: token.value }
      case 'float':
        this.stream.next()
        return { type: 'const', line, value: { float: token.value } }
      case '(': {
        this.stream.next()
        const result = this.nested(() => this.tuple({ inParentheses: true }))
        this.stream.expect(')')
        return result
      }
      case '[':
        return { type: 'list', line, items: this.bracketed('[', ']', () => this.expression()) }
      case '{':
        return { type: 'dict', line, items: this.bracketed('{', '}', () => this.pair()) }
      default:
        return this.stream.fail(`unexpected '${describeToken(token)}'`)
    }
  }

  private bracketed<Item>(open: string, close: string, item: () => Item): Item[] {
    this.stream.expect(open)
    const items: Item[] = []
    while (!this.stream.is(close)) {
      if (items.length > 0) this.stream.expect(',')
      if (this.stream.is(close)) break
      items.push(item())
    }
    this.stream.expect(close)
    return items
  }

  private pair(): { key: Expression; value: Expression } {
    const key = this.expression()
    this.stream.expect(':')
    return { key, value: this.expression() }
  }

  protected postfix(expression: Expression): Expression {
    let result = expression
    while (true) {
      if (this.stream.is('.')) result = this.attribute(result)
      else if (this.stream.is('[')) result = this.item(result)
      else if (this.stream.is('(')) result = this.call(result)
      else return result
    }
  }

  private filtersAndTests(expression: Expression): Expression {
    let result = expression
    while (true) {
      if (this.stream.is('|')) result = this.filters(result)
      else if (this.stream.is('name:is')) result = this.test(result)
      else if (this.stream.is('(')) result = this.call(result)
      else return result
    }
  }

  private attribute(object: Expression): Expression {
    const { line } = this.stream.next()
    const token = this.stream.next()
    if (token.type === 'name') return { type: 'attribute', line, object, name: token.value }
    if (token.type !== 'integer') this.stream.fail('expected name or number', token.line)
    return { type: 'item', line, object, key: { type: 'const', line, value: token.value } }
  }

  private item(object: Expression): Expression {
    const { line } = this.stream.current
    const keys: (Expression | Slice)[] = []
    this.stream.expect('[')
    while (!this.stream.is(']')) {
      if (keys.length > 0) this.stream.expect(',')
      keys.push(this.subscript())
    }
    this.stream.expect(']')
    if (keys.length === 1) return { type: 'item', line, object, key: keys[0] }
    if (keys.some((key) => key.type === 'slice')) this.stream.fail('a slice cannot be one of several subscripts', line)
    return { type: 'item', line, object, key: { type: 'tuple', line, items: keys as Expression[] } }
  }

  private subscript(): Expression | Slice {
    const { line } = this.stream.current
    const bound = () => (this.stream.is(':', ']', ',') ? undefined : this.expression())
    const start = bound()
    if (!this.stream.skipIf(':')) return start ?? this.stream.fail(`unexpected '${describeToken(this.stream.current)}'`)
    const stop = bound()
    const step = this.stream.skipIf(':') ? bound() : undefined
    return { type: 'slice', line, start, stop, step }
  }

  protected call(callee: Expression): CallExpression {
    const { line } = this.stream.current
    return { type: 'call', line, callee, args: this.callArguments() }
  }

  private callArguments(): Arguments {
    const { line } = this.stream.expect('(')
    const args: Arguments = { ...NO_ARGUMENTS, positional: [], named: [] }
    const ensure = (valid: boolean) => valid || this.stream.fail('invalid syntax for function call expression', line)
    for (let count = 0; !this.stream.is(')'); count++) {
      if (count > 0) {
        this.stream.expect(',')
        if (this.stream.is(')')) break
      }
      if (this.stream.skipIf('*')) {
        ensure(!args.spread && !args.namedSpread)
        args.spread = this.expression()
      } else if (this.stream.skipIf('**')) {
        ensure(!args.namedSpread)
        args.namedSpread = this.expression()
      } else if (this.stream.is('name') && this.stream.followedBy('=')) {
        ensure(!args.namedSpread)
        const name = this.stream.expectName()
        this.stream.next()
        if (args.named.some((other) => other.name === name))
          this.stream.fail(`keyword argument repeated: ${name}`, line)
        args.named.push({ name, value: this.expression() })
      } else {
        ensure(!args.spread && !args.namedSpread && args.named.length === 0)
        args.positional.push(this.expression())
      }
    }
    this.stream.expect(')')
    return args
  }

  /** `|name(...)` as often as it comes. */
  protected filters(operand: Expression | undefined): FilterExpression {
    let result = operand
    while (this.stream.skipIf('|')) result = this.filter(result)
    return result as FilterExpression
  }

  /** One filter, after its bar. */
  protected filter(operand: Expression | undefined): FilterExpression {
    const { line } = this.stream.current
    const name = this.dottedName()
    return { type: 'filter', line, name, operand, args: this.stream.is('(') ? this.callArguments() : NO_ARGUMENTS }
  }

  private dottedName(): string {
    let name = this.stream.expectName()
    while (this.stream.skipIf('.')) name += `.${this.stream.expectName()}`
    return name
  }

  private test(operand: Expression): Expression {
    const { line } = this.stream.next()
    const negated = this.stream.skipIf('name:not')
    const name = this.dottedName()
    const test: Expression = { type: 'test', line, name, operand, args: this.testArguments() }
    return negated ? { type: 'not', line, operand: test } : test
  }

  private testArguments(): Arguments {
    if (this.stream.is('(')) return this.callArguments()
    const takesOne = this.stream.is('name', 'string', 'integer', 'float', '[', '{')
    if (!takesOne || this.stream.is('name:else', 'name:or', 'name:and')) return NO_ARGUMENTS
    if (this.stream.is('name:is')) this.stream.fail('You cannot chain multiple tests with is')
    return { ...NO_ARGUMENTS, positional: [this.postfix(this.primary())] }
  }
}

/** Names that Jinja2 reads as constants. */
const CONSTANTS: Record<string, boolean | null> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
}

export function isConstantName(name: string): boolean {
  return Object.hasOwn(CONSTANTS, name)
}

function named(name: string, line: number): Expression {
  return isConstantName(name) ? { type: 'const', line, value: CONSTANTS[name] } : { type: 'name', line, name }
}
