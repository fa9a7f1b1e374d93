import type { CallNode, IdentifierNode, Node } from './ast'
import { type FilterHost, filter } from './filters'
import { attributeOf, itemOf, pathOf, sliceOf } from './members'
import { binary } from './operators'
import { predicate } from './predicates'
import { LoopState, Scope } from './scope'
import {
  Callable,
  Float,
  iterate,
  Namespace,
  numberOf,
  TemplateFault,
  Tuple,
  text,
  truthy,
  Undefined,
  type Value,
} from './values'

/** How much work a template may cause; templates come with models from strangers. */
export interface TemplateLimits {
  /** Expressions and statements evaluated. */
  steps: number
  /** Characters of any one text. */
  size: number
}

/** Thrown when a limit is reached. */
export class TemplateTooMuch extends Error {}

/** `break` or `continue` on its way to the loop, with what was printed before it. */
class LoopExit {
  printed = ''
  constructor(readonly kind: 'Break' | 'Continue') {}
}

/** Items of any one list. */
const MOST_ITEMS = 200_000

/** The name a generation block is called by; no template can spell it. */
export const GENERATION = '__generation'

/** Walks the syntax tree and prints. One instance renders one template once. */
export class Renderer implements FilterHost {
  private steps = 0
  readonly size: number

  /** @param mark wraps what a generation block prints, to find it in the output again. */
  constructor(
    private readonly limits: TemplateLimits,
    private readonly mark: (generated: string) => string,
  ) {
    this.size = limits.size
  }

  attribute(value: Value, path: Value): Value {
    return pathOf(value, path)
  }

  filter = filter

  /** Prints a list of statements. */
  block(body: readonly Node[], scope: Scope): string {
    let out = ''
    try {
      for (const node of body) {
        out += this.statement(node, scope)
        if (out.length > this.size) throw new TemplateTooMuch(`makes a text of more than ${this.size} characters`)
      }
    } catch (exit) {
      if (exit instanceof LoopExit) exit.printed = out + exit.printed
      throw exit
    }
    return out
  }

  private tick(): void {
    if (++this.steps > this.limits.steps) throw new TemplateTooMuch(`takes more than ${this.limits.steps} steps`)
  }

  private statement(node: Node, scope: Scope): string {
    this.tick()
    switch (node.type) {
      case 'Comment':
        return ''
      case 'If':
        return this.block(truthy(this.value(node.test, scope)) ? node.body : node.alternate, scope)
      case 'For':
        return this.loop(node, scope)
      case 'Break':
      case 'Continue':
        throw new LoopExit(node.type)
      case 'Set':
        this.assign(
          node.assignee,
          node.value ? this.value(node.value, scope) : this.block(node.body, new Scope(scope)),
          scope,
        )
        return ''
      case 'Macro':
        scope.set(node.name.value, this.macro(node.name.value, node.args, node.body, scope))
        return ''
      case 'CallStatement':
        return this.callBlock(node, scope)
      case 'FilterStatement':
        return text(this.filtered(this.block(node.body, new Scope(scope)), node.filter, scope))
      default:
        return text(this.value(node, scope))
    }
  }

  private loop(node: Extract<Node, { type: 'For' }>, scope: Scope): string {
    const { iterable: source, loopvar, body } = node
    const chosen = source.type === 'SelectExpression' ? source : undefined
    let items = iterate(this.value(chosen ? chosen.lhs : source, scope))
    if (chosen)
      items = items.filter((item) => {
        const inner = new Scope(scope)
        this.assign(loopvar, item, inner)
        return truthy(this.value(chosen.test, inner))
      })
    if (items.length === 0) return this.block(node.defaultBlock, new Scope(scope))
    let out = ''
    const depth = scope.depth + 1
    for (const [i, item] of items.entries()) {
      this.tick()
      const inner = new Scope(scope, depth)
      inner.set('loop', new LoopState(items, i, depth))
      this.assign(loopvar, item, inner)
      try {
        out += this.block(body, inner)
      } catch (exit) {
        if (!(exit instanceof LoopExit)) throw exit
        out += exit.printed
        if (exit.kind === 'Break') break
      }
      if (out.length > this.size) throw new TemplateTooMuch(`makes a text of more than ${this.size} characters`)
    }
    return out
  }

  private assign(target: Node, value: Value, scope: Scope): void {
    if (target.type === 'Identifier') scope.set(target.value, value)
    else if (target.type === 'TupleLiteral') {
      const items = iterate(value)
      if (items.length !== target.value.length)
        throw new TemplateFault(`cannot unpack ${items.length} values into ${target.value.length} names`)
      for (const [i, name] of target.value.entries()) this.assign(name, items[i]!, scope)
    } else if (target.type === 'MemberExpression' && target.property.type === 'Identifier') {
      const object = this.value(target.object, scope)
      if (!(object instanceof Namespace) || object instanceof LoopState)
        throw new TemplateFault('cannot assign attribute on non-namespace object')
      object.fields.set(target.property.value, value)
    } else throw new TemplateFault(`cannot assign to ${target.type}`)
  }

  private macro(name: string, parameters: readonly Node[], body: readonly Node[], defined: Scope): Callable {
    return new Callable(name, (args, given) => {
      const scope = new Scope(defined)
      const kwargs = new Map(given)
      const caller = kwargs.get('caller')
      if (caller !== undefined) scope.set('caller', caller)
      kwargs.delete('caller')
      for (const [i, parameter] of parameters.entries()) {
        const named = parameter.type === 'KeywordArgumentExpression' ? parameter : undefined
        const key = named ? named.key.value : (parameter as IdentifierNode).value
        const fallback = () => (named ? this.value(named.value, scope) : new Undefined(key))
        scope.set(key, i < args.length ? args[i]! : kwargs.has(key) ? kwargs.get(key)! : fallback())
        kwargs.delete(key)
      }
      scope.set('varargs', Tuple.from(args.slice(parameters.length)))
      scope.set('kwargs', kwargs)
      return this.block(body, scope)
    })
  }

  private callBlock(node: Extract<Node, { type: 'CallStatement' }>, scope: Scope): string {
    const { callee } = node.call
    if (callee.type === 'Identifier' && callee.value === GENERATION)
      return this.mark(this.block(node.body, new Scope(scope)))
    const caller = this.macro('caller', node.callerArgs ?? [], node.body, scope)
    const [args, kwargs] = this.arguments(node.call.args, scope)
    return text(this.invoke(this.value(callee, scope), args, new Map([...kwargs, ['caller', caller]])))
  }

  private invoke(callee: Value, args: Value[], kwargs: Map<string, Value>): Value {
    if (callee instanceof Callable) return callee.call(args, kwargs)
    if (callee instanceof Undefined)
      throw new TemplateFault(
        callee.name.includes(' has no attribute ') ? `'${callee.name}'` : `'${callee.name}' is undefined`,
      )
    throw new TemplateFault('this value cannot be called')
  }

  private arguments(nodes: readonly Node[], scope: Scope): [Value[], Map<string, Value>] {
    const args: Value[] = []
    const kwargs = new Map<string, Value>()
    for (const node of nodes) {
      if (node.type === 'KeywordArgumentExpression') kwargs.set(node.key.value, this.value(node.value, scope))
      else if (node.type === 'SpreadExpression') args.push(...iterate(this.value(node.argument, scope)))
      else if (node.type === 'KeywordSpreadExpression') {
        const more = this.value(node.argument, scope)
        if (!(more instanceof Map)) throw new TemplateFault('argument after ** must be a mapping')
        for (const [key, value] of more) kwargs.set(key, value)
      } else args.push(this.value(node, scope))
    }
    return [args, kwargs]
  }

  private filtered(value: Value, node: IdentifierNode | CallNode, scope: Scope): Value {
    if (node.type === 'Identifier') return filter(node.value)(value, [], new Map(), this)
    const [args, kwargs] = this.arguments(node.args, scope)
    return filter((node.callee as IdentifierNode).value)(value, args, kwargs, this)
  }

  private value(node: Node, scope: Scope): Value {
    this.tick()
    const value = this.evaluate(node, scope)
    if (typeof value === 'string' && value.length > this.size)
      throw new TemplateTooMuch(`makes a text of more than ${this.size} characters`)
    if (Array.isArray(value) && value.length > MOST_ITEMS)
      throw new TemplateTooMuch(`makes a list of more than ${MOST_ITEMS} items`)
    return value
  }

  private evaluate(node: Node, scope: Scope): Value {
    switch (node.type) {
      case 'IntegerLiteral':
      case 'StringLiteral':
        return node.value
      case 'FloatLiteral':
        return new Float(node.value)
      case 'ArrayLiteral':
        return node.value.map((item) => this.value(item, scope))
      case 'TupleLiteral':
        return Tuple.from(node.value.map((item) => this.value(item, scope)))
      case 'ObjectLiteral':
        return new Map([...node.value].map(([k, v]) => [text(this.value(k, scope)), this.value(v, scope)]))
      case 'Identifier':
        return scope.get(node.value)
      case 'MemberExpression':
        return this.member(node, scope)
      case 'CallExpression': {
        const callee = this.value(node.callee, scope)
        const [args, kwargs] = this.arguments(node.args, scope)
        return this.invoke(callee, args, kwargs)
      }
      case 'BinaryExpression': {
        const left = this.value(node.left, scope)
        const { value: operator } = node.operator
        if (operator === 'and') return truthy(left) ? this.value(node.right, scope) : left
        if (operator === 'or') return truthy(left) ? left : this.value(node.right, scope)
        return binary(operator, left, this.value(node.right, scope), this.size)
      }
      case 'FilterExpression':
        return this.filtered(this.value(node.operand, scope), node.filter, scope)
      case 'TestExpression':
        return predicate(node.test.value)(this.value(node.operand, scope), []) !== node.negate
      case 'SelectExpression':
        return truthy(this.value(node.test, scope))
          ? this.value(node.lhs, scope)
          : new Undefined('the inline if-expression')
      case 'Ternary':
        return this.value(truthy(this.value(node.condition, scope)) ? node.trueExpr : node.falseExpr, scope)
      case 'UnaryExpression': {
        const value = this.value(node.argument, scope)
        if (node.operator.value === 'not') return !truthy(value)
        const n = numberOf(value)
        if (n === undefined) throw new TemplateFault(`bad operand for unary ${node.operator.value}`)
        const signed = node.operator.value === '-' ? -n : n
        return value instanceof Float ? new Float(signed) : signed
      }
      default:
        throw new TemplateFault(`a ${node.type} has no value`)
    }
  }

  private member(node: Extract<Node, { type: 'MemberExpression' }>, scope: Scope): Value {
    const object = this.value(node.object, scope)
    const { property } = node
    if (!node.computed)
      return property.type === 'Identifier'
        ? attributeOf(object, property.value)
        : itemOf(object, this.value(property, scope))
    if (property.type !== 'SliceExpression') return itemOf(object, this.value(property, scope))
    const bound = (edge: Node | undefined) => (edge ? this.value(edge, scope) : null)
    return sliceOf(object, bound(property.start), bound(property.stop), bound(property.step))
  }
}
