import { TemplateSyntaxFault } from '../values/fault'
import type { Expression, IfStatement, Parameters, Statement, Target } from './ast'
import { ExpressionParser, isConstantName } from './expression-parser'
import { tokenize } from './lexer'
import { TokenStream } from './token-stream'
import { describeToken } from './tokens'

/** @throws {TemplateSyntaxFault} where the template is not well formed or asks for what is not supported. */
export function parseTemplate(source: string): Statement[] {
  return new Parser(new TokenStream(tokenize(source))).template()
}

type Output = Extract<Statement, { type: 'output' }>

const DEEPEST = 100

/** Tags that ask for another template: a model has but one file. */
const NEEDS_ANOTHER_TEMPLATE = new Set(['include', 'import', 'from', 'extends'])

class Parser extends ExpressionParser {
  /** The tags that may end each of the bodies that are open. */
  private readonly ends: string[][] = []

  template(): Statement[] {
    return this.body([])
  }

  /** Statements and text up to one of the tags `ends`, of which the name is then the current token. */
  private body(ends: string[]): Statement[] {
    if (this.ends.push(ends) > DEEPEST) this.stream.fail(`statements are nested more than ${DEEPEST} deep`)
    const statements: Statement[] = []
    let output: Output | undefined
    const print = (line: number, item: Output['items'][number]) => {
      if (!output) {
        output = { type: 'output', line, items: [] }
        statements.push(output)
      }
      output.items.push(item)
    }
    while (!this.stream.is('eof')) {
      const token = this.stream.next()
      if (token.type === 'data') print(token.line, { type: 'data', line: token.line, text: token.value })
      else if (token.type === 'variable_begin') {
        print(token.line, this.tuple())
        this.stream.expect('variable_end')
      } else {
        output = undefined
        if (this.stream.is(...ends.map((end) => `name:${end}`))) break
        statements.push(this.statement())
        this.stream.expect('block_end')
      }
    }
    if (this.stream.is('eof') && ends.length > 0) this.failAtEnd(ends)
    this.ends.pop()
    return statements
  }

  private failAtEnd(ends: string[]): never {
    return this.stream.fail(`Unexpected end of template. Jinja was looking for the following tags: ${quoted(ends)}.`)
  }

  /** The body of a tag: after its end, up to and, unless there is a choice, past the tag that closes it. */
  private block(...ends: string[]): Statement[] {
    this.stream.skipIf(':')
    this.stream.expect('block_end')
    const statements = this.body(ends)
    if (ends.length === 1) this.stream.next()
    return statements
  }

  private statement(): Statement {
    const token = this.stream.current
    if (token.type !== 'name') this.stream.fail('tag name expected')
    const { line } = token
    const name = token.value as string
    if (NEEDS_ANOTHER_TEMPLATE.has(name))
      throw new TemplateSyntaxFault(
        `{% ${name} %} is not supported: there are no other templates to take from`,
        line,
        true,
      )
    this.stream.next()
    switch (name) {
      case 'for':
        return this.for(line)
      case 'if':
        return this.if(line)
      case 'set':
        return this.set(line)
      case 'macro':
        return {
          type: 'macro',
          line,
          name: this.newName(),
          parameters: this.parameters(),
          body: this.block('endmacro'),
        }
      case 'call':
        return this.callBlock(line)
      case 'generation':
        return {
          type: 'call block',
          line,
          call: 'generation',
          parameters: NO_PARAMETERS,
          body: this.block('endgeneration'),
        }
      case 'filter':
        return {
          type: 'filter block',
          line,
          filter: this.filters(this.filter(undefined)),
          body: this.block('endfilter'),
        }
      case 'with':
        return this.with(line)
      case 'autoescape':
        return { type: 'autoescape', line, value: this.expression(), body: this.block('endautoescape') }
      case 'block':
        return this.namedBlock(line)
      case 'print':
        return this.print(line)
      case 'break':
      case 'continue':
        return { type: name, line }
      default:
        return this.unknownTag(name, line)
    }
  }

  private unknownTag(name: string, line: number): never {
    const open = this.ends.at(-1)!
    const looking = open.length === 0 ? '' : ` Jinja was looking for the following tags: ${quoted(open)}.`
    return this.stream.fail(`Encountered unknown tag '${name}'.${looking}`, line)
  }

  private for(line: number): Statement {
    const target = this.target('name:in')
    this.stream.expect('name:in')
    const iterable = this.tuple({ conditions: false, end: 'name:recursive' })
    const test = this.stream.skipIf('name:if') ? this.expression() : undefined
    const recursive = this.stream.skipIf('name:recursive')
    const body = this.block('endfor', 'else')
    const otherwise = this.stream.next().value === 'else' ? this.block('endfor') : []
    return { type: 'for', line, target, iterable, test, recursive, body, otherwise }
  }

  private if(line: number): IfStatement {
    const branch = (at: number): IfStatement => ({
      type: 'if',
      line: at,
      test: this.tuple({ conditions: false }),
      body: this.block('elif', 'else', 'endif'),
      elifs: [],
      otherwise: [],
    })
    const result = branch(line)
    while (true) {
      const token = this.stream.next()
      if (token.value === 'endif') return result
      if (token.value === 'else') {
        result.otherwise = this.block('endif')
        return result
      }
      result.elifs.push(branch(token.line))
    }
  }

  private set(line: number): Statement {
    const target = this.target(undefined, true)
    if (this.stream.skipIf('=')) return { type: 'set', line, target, value: this.tuple() }
    const filter = this.stream.is('|') ? this.filters(undefined) : undefined
    return { type: 'set block', line, target, filter, body: this.block('endset') }
  }

  private callBlock(line: number): Statement {
    const parameters = this.stream.is('(') ? this.parameters() : NO_PARAMETERS
    const call = this.expression()
    if (call.type !== 'call') this.stream.fail('expected call', line)
    return { type: 'call block', line, call, parameters, body: this.block('endcall') }
  }

  private with(line: number): Statement {
    const targets: Target[] = []
    const values: Expression[] = []
    while (!this.stream.is('block_end')) {
      if (targets.length > 0) this.stream.expect(',')
      targets.push(this.target())
      this.stream.expect('=')
      values.push(this.expression())
    }
    return { type: 'with', line, targets, values, body: this.block('endwith') }
  }

  private namedBlock(line: number): Statement {
    const name = this.stream.expectName()
    const scoped = this.stream.skipIf('name:scoped')
    const required = this.stream.skipIf('name:required')
    if (this.stream.is('-')) this.stream.fail('Block names may not contain hyphens, use an underscore instead.')
    const body = this.block('endblock')
    if (required && !body.every(isBlank)) this.stream.fail('Required blocks can only contain comments or whitespace')
    this.stream.skipIf(`name:${name}`)
    return { type: 'block', line, name, scoped, required, body }
  }

  private print(line: number): Statement {
    const items: Expression[] = []
    while (!this.stream.is('block_end')) {
      if (items.length > 0) this.stream.expect(',')
      items.push(this.expression())
    }
    return { type: 'output', line, items }
  }

  private parameters(): Parameters {
    const result: Parameters = { names: [], defaults: [] }
    this.stream.expect('(')
    while (!this.stream.is(')')) {
      if (result.names.length > 0) this.stream.expect(',')
      const { line } = this.stream.current
      const name = this.newName()
      if (result.names.includes(name)) this.stream.fail(`duplicate argument '${name}'`, line)
      if (this.stream.skipIf('=')) result.defaults.push(this.expression())
      else if (result.defaults.length > 0) this.stream.fail('non-default argument follows default argument')
      result.names.push(name)
    }
    this.stream.expect(')')
    return result
  }

  private newName(): string {
    const { line } = this.stream.current
    const name = this.stream.expectName()
    if (isConstantName(name)) this.stream.fail(`can't assign to '${name}'`, line)
    return name
  }

  /** What is assigned to: a name, several with commas, or with `attributes` one of a namespace. */
  private target(end?: string, attributes = false): Target {
    const { line } = this.stream.current
    const items: Target[] = []
    let isTuple = false
    while (true) {
      if (items.length > 0) this.stream.expect(',')
      if (this.atTupleEnd(end)) break
      items.push(this.oneTarget(attributes))
      if (!this.stream.is(',')) break
      isTuple = true
    }
    if (isTuple) return { type: 'tuple', line, items }
    return items[0] ?? this.stream.fail(`Expected an expression, got '${describeToken(this.stream.current)}'`)
  }

  private oneTarget(attributes: boolean): Target {
    const { line } = this.stream.current
    if (attributes && this.stream.is('name') && this.stream.followedBy('.')) {
      const name = this.stream.expectName()
      this.stream.next()
      return { type: 'namespace attribute', line, name, attribute: this.stream.expectName() }
    }
    return this.asTarget(this.primary())
  }

  private asTarget(expression: Expression): Target {
    const { type, line } = expression
    if (type === 'name') return expression
    if (type === 'tuple') return { type, line, items: expression.items.map((item) => this.asTarget(item)) }
    return this.stream.fail(`can't assign to '${type}'`, line)
  }
}

const NO_PARAMETERS: Parameters = { names: [], defaults: [] }

const quoted = (tags: string[]) => tags.map((tag) => `'${tag}'`).join(' or ')

function isBlank(statement: Statement): boolean {
  return statement.type === 'output' && statement.items.every((item) => item.type === 'data' && item.text.trim() === '')
}
