import { FILTERS } from '../filters'
import { CHOOSING_FILTERS } from '../filters/choosing-filters'
import { TESTS } from '../filters/tests'
import type {
  Arguments,
  CallExpression,
  ComparisonOperator,
  DictExpression,
  Expression,
  FilterExpression,
  Slice,
  TestExpression,
} from '../language/ast'
import { attributeOf, itemOf, sliceOf } from '../methods/access'
import { unsupportedCall } from '../methods/unsupported-methods'
import { step, withBudget } from '../values/budget'
import { contains, equals, inOrder } from '../values/compare'
import { Dict } from '../values/dict'
import { TemplateFault, TemplateSyntaxFault } from '../values/fault'
import { Float } from '../values/float'
import { iterate } from '../values/iterate'
import { add, concatenate, concatenateMarkup, escaped, negate, operate, positive } from '../values/operators'
import { text } from '../values/repr'
import {
  Callable,
  isText,
  type Kwargs,
  NO_KWARGS,
  PyObject,
  Tuple,
  textOf,
  truthy,
  typeName,
  Undefined,
  undefinedName,
  type Value,
} from '../values/value'
import type { Frame } from './frame'
import { type Activation, Context, type Expr, Runtime } from './runtime'
import { childrenOf, type FunctionScope, type Slot } from './symbols'

/** Makes an expression a function. */
export function compileExpression(node: Expression, frame: Frame): Expr {
  if (!LITERALS.includes(node.type)) refuseUnhashable(node, frame)
  switch (node.type) {
    case 'const':
      return constant(node.value !== null && typeof node.value === 'object' ? new Float(node.value.float) : node.value)
    case 'name':
      return frame.folding ? notConstant : compileName(node.name, frame, node.line)
    case 'list':
      return compileItems(node.items, frame)
    case 'tuple': {
      const items = compileItems(node.items, frame)
      return (runtime, activation) => new Tuple(items(runtime, activation))
    }
    case 'dict':
      return compileDict(node.items, frame)
    case 'condition':
      return compileCondition(node, frame.softened())
    case 'and':
    case 'or': {
      const [left, right] = [compileExpression(node.left, frame), compileExpression(node.right, frame)]
      const goesOn = node.type === 'and'
      return (runtime, activation) => {
        const value = left(runtime, activation)
        return truthy(value) === goesOn ? right(runtime, activation) : value
      }
    }
    case 'not':
      return compileUnary(node.operand, frame, (value) => !truthy(value))
    case 'negative':
      return compileUnary(node.operand, frame, negate)
    case 'positive':
      return compileUnary(node.operand, frame, positive)
    case 'compare':
      return compileComparison(node, frame)
    case 'binary':
      return compileBinary(node, frame)
    case 'concat': {
      const known = frame.escaping.constant ? constantValue(node, frame) : undefined
      if (known) return constant(known.value)
      const items = compileItems(node.items, frame)
      const { constant: escapes, atRunTime } = frame.escaping
      const join = escapes && !atRunTime && !frame.folding ? concatenateMarkup : concatenate
      return (runtime, activation) => join(items(runtime, activation))
    }
    case 'attribute': {
      const object = compileExpression(node.object, frame)
      const { name } = node
      return (runtime, activation) => {
        step()
        return attributeOf(object(runtime, activation), name)
      }
    }
    case 'item':
      return compileItem(node.object, node.key, frame)
    case 'call':
      return frame.folding ? notConstant : compileCall(node, frame)
    case 'filter':
      return compileFilter(node, frame)
    case 'test':
      return compileTest(node, frame)
  }
}

function constant(value: Value): Expr {
  return () => value
}

/** How many activations out a variable is, from code of `from`. */
export function distance(from: FunctionScope, slot: Slot): number {
  let hops = 0
  for (let scope: FunctionScope | undefined = from; scope !== slot.owner; scope = scope!.parent) hops++
  return hops
}

function outwards(activation: Activation, hops: number): Activation {
  let at = activation
  for (let i = 0; i < hops; i++) at = at.parent!
  return at
}

/** Reads a variable; undefined when it has no value. */
export function reader(slot: Slot, from: FunctionScope): (activation: Activation) => Value | undefined {
  const { index } = slot
  const hops = distance(from, slot)
  if (hops === 0) return (activation) => activation.slots[index]
  if (hops === 1) return (activation) => activation.parent!.slots[index]
  return (activation) => outwards(activation, hops).slots[index]
}

function compileName(name: string, frame: Frame, line: number): Expr {
  const read = reader(frame.slotOf(name, line), frame.scope)
  return (_runtime, activation) => {
    const value = read(activation)
    return value === undefined ? undefinedName(name) : value
  }
}

function compileItems(
  nodes: readonly Expression[],
  frame: Frame,
): (runtime: Runtime, activation: Activation) => Value[] {
  const items = nodes.map((item) => compileExpression(item, frame))
  return (runtime, activation) => {
    step()
    const values: Value[] = new Array(items.length)
    for (let i = 0; i < items.length; i++) values[i] = items[i](runtime, activation)
    return values
  }
}

function compileDict(nodes: readonly { key: Expression; value: Expression }[], frame: Frame): Expr {
  const items = nodes.map(({ key, value }) => [compileExpression(key, frame), compileExpression(value, frame)] as const)
  return (runtime, activation) => {
    const dict = new Dict()
    for (const [key, value] of items) {
      step()
      dict.set(key(runtime, activation), value(runtime, activation))
    }
    return dict
  }
}

function compileCondition(node: Extract<Expression, { type: 'condition' }>, frame: Frame): Expr {
  const test = compileExpression(node.test, frame)
  const then = compileExpression(node.value, frame)
  const { line } = node
  const nothing = () =>
    new Undefined(() => `the inline if-expression on line ${line} evaluated to false and no else section was defined.`)
  const missing = frame.folding ? notConstant : nothing
  const otherwise = node.otherwise ? compileExpression(node.otherwise, frame) : missing
  return (runtime, activation) => (truthy(test(runtime, activation)) ? then : otherwise)(runtime, activation)
}

function compileUnary(operand: Expression, frame: Frame, apply: (value: Value) => Value): Expr {
  const inner = compileExpression(operand, frame)
  return (runtime, activation) => apply(inner(runtime, activation))
}

const COMPARE: Record<ComparisonOperator, (a: Value, b: Value) => boolean> = {
  '==': equals,
  '!=': (a, b) => !equals(a, b),
  '<': (a, b) => inOrder(a, '<', b),
  '<=': (a, b) => inOrder(a, '<=', b),
  '>': (a, b) => inOrder(a, '>', b),
  '>=': (a, b) => inOrder(a, '>=', b),
  in: (a, b) => contains(b, a),
  'not in': (a, b) => !contains(b, a),
}

function compileComparison({ first, rest }: Extract<Expression, { type: 'compare' }>, frame: Frame): Expr {
  const start = compileExpression(first, frame)
  const links = rest.map(({ operator, operand }) => ({
    compare: COMPARE[operator],
    operand: compileExpression(operand, frame),
  }))
  const [{ compare, operand }] = links
  if (links.length === 1)
    return (runtime, activation) => compare(start(runtime, activation), operand(runtime, activation))
  return (runtime, activation) => {
    let left = start(runtime, activation)
    for (const link of links) {
      const right = link.operand(runtime, activation)
      if (!link.compare(left, right)) return false
      left = right
    }
    return true
  }
}

function compileBinary({ operator, left, right }: Extract<Expression, { type: 'binary' }>, frame: Frame): Expr {
  const [a, b] = [compileExpression(left, frame), compileExpression(right, frame)]
  if (operator === '+') return (runtime, activation) => add(a(runtime, activation), b(runtime, activation))
  return (runtime, activation) => {
    step()
    return operate(operator, a(runtime, activation), b(runtime, activation))
  }
}

function compileItem(objectNode: Expression, key: Expression | Slice, frame: Frame): Expr {
  const object = compileExpression(objectNode, frame)
  if (key.type !== 'slice') {
    const index = compileExpression(key, frame)
    return (runtime, activation) => {
      step()
      return itemOf(object(runtime, activation), index(runtime, activation))
    }
  }
  const [start, stop, by] = [key.start, key.stop, key.step].map((bound) =>
    bound ? compileExpression(bound, frame) : constant(null),
  )
  return (runtime, activation) => {
    step()
    const value = object(runtime, activation)
    return sliceOf(value, start(runtime, activation), stop(runtime, activation), by(runtime, activation))
  }
}

/** Evaluates arguments: those by position, and those by name. */
interface CompiledArguments {
  positional(runtime: Runtime, activation: Activation): readonly Value[]
  named(runtime: Runtime, activation: Activation): Kwargs
}

export function compileArguments(args: Arguments, frame: Frame): CompiledArguments {
  const items = compileItems(args.positional, frame)
  const spread = args.spread && compileExpression(args.spread, frame)
  const pairs = args.named.map(({ name, value }) => [name, compileExpression(value, frame)] as const)
  const namedSpread = args.namedSpread && compileExpression(args.namedSpread, frame)
  const named = (runtime: Runtime, activation: Activation) => {
    const kwargs = new Map<string, Value>()
    for (const [name, value] of pairs) kwargs.set(name, value(runtime, activation))
    if (namedSpread) spreadInto(kwargs, namedSpread(runtime, activation))
    return kwargs
  }
  return {
    positional: spread
      ? (runtime, activation) => [...items(runtime, activation), ...iterate(spread(runtime, activation))]
      : items,
    named: pairs.length > 0 || namedSpread ? named : () => NO_KWARGS,
  }
}

function spreadInto(kwargs: Map<string, Value>, more: Value): void {
  if (!(more instanceof Dict)) throw new TemplateFault(`argument after ** must be a mapping, not ${typeName(more)}`)
  for (const [key, value] of more.items()) {
    if (!isText(key)) throw new TemplateFault('keywords must be strings')
    const name = textOf(key)
    if (kwargs.has(name)) throw new TemplateFault(`got multiple values for keyword argument '${name}'`)
    kwargs.set(name, value)
  }
}

export function call(callee: Value, args: readonly Value[], kwargs: Kwargs): Value {
  step()
  if (callee instanceof Callable) return callee.call(args, kwargs)
  if (callee instanceof Undefined) return callee.fail()
  throw new TemplateFault(`'${typeName(callee)}' object is not callable`)
}

function compileCall(node: CallExpression, frame: Frame): Expr {
  refuseUnsupported(node, frame)
  const callee = compileExpression(node.callee, frame)
  const args = compileArguments(node.args, frame)
  const { line } = node
  return (runtime, activation) => {
    const target = callee(runtime, activation)
    const positional = args.positional(runtime, activation)
    const named = args.named(runtime, activation)
    runtime.line = line
    return call(target, positional, named)
  }
}

/** Jinja's one function that is not there, since its text is random, and methods that are not. */
function refuseUnsupported({ callee, line }: CallExpression, frame: Frame): void {
  if (callee.type === 'name' && callee.name === 'lipsum' && !frame.isSet('lipsum'))
    throw new TemplateSyntaxFault('lipsum() is not supported: it makes random text', line, true)
  const message = callee.type === 'attribute' ? unsupportedCall(callee.name) : undefined
  if (message !== undefined) throw new TemplateSyntaxFault(message, line, true)
}

/** Where a filter or test is not known: an error now, or in a branch that may never be taken, when it is. */
function unknown(what: 'filter' | 'test', name: string, line: number, frame: Frame): () => never {
  if (!frame.soft) throw new TemplateSyntaxFault(`No ${what} named '${name}'.`, line)
  return () => {
    throw new TemplateFault(`No ${what} named '${name}' found.`)
  }
}

function compileFilter(node: FilterExpression, frame: Frame): Expr {
  if (frame.folding && (frame.escaping.atRunTime || dependsOnRendering(node.name))) return notConstant
  const filter = FILTERS.get(node.name) ?? unknown('filter', node.name, node.line, frame)
  const operand = node.operand ? compileExpression(node.operand, frame) : frame.bufferText()
  const args = compileArguments(node.args, frame)
  const { line } = node
  return (runtime, activation) => {
    const value = operand(runtime, activation)
    const positional = args.positional(runtime, activation)
    const named = args.named(runtime, activation)
    runtime.line = line
    step()
    return filter(runtime, value, positional, named)
  }
}

function compileTest(node: TestExpression, frame: Frame): Expr {
  if (frame.folding && frame.escaping.atRunTime) return notConstant
  const test = TESTS.get(node.name) ?? unknown('test', node.name, node.line, frame)
  const operand = compileExpression(node.operand, frame)
  const args = compileArguments(node.args, frame)
  return (runtime, activation) => {
    const value = operand(runtime, activation)
    step()
    return test(runtime, value, args.positional(runtime, activation), args.named(runtime, activation))
  }
}

/** What a constant cannot hold. */
const notConstant: Expr = () => {
  throw new TemplateFault('not a constant')
}

/** Filters that look other filters up, or leave things to chance, only work in a rendering. */
function dependsOnRendering(filter: string): boolean {
  return filter === 'random' || Object.hasOwn(CHOOSING_FILTERS, filter)
}

/**
 * The value of an expression that no variable has a part in; undefined for others, and where it would raise.
 *
 * Jinja2 works such expressions out when it compiles, before it knows of escaping: `~` then joins plain texts.
 */
export function constantValue(node: Expression, frame: Frame): { value: Value } | undefined {
  if (frame.folding) return undefined
  const runtime = new Runtime()
  runtime.autoescape = frame.escaping.constant
  try {
    return withBudget(() => ({
      value: compileExpression(node, frame.folded())(runtime, { slots: [], parent: undefined, context: NO_CONTEXT }),
    }))
  } catch {
    // What raises is left to the rendering, which may never come there.
    return undefined
  }
}

const NO_CONTEXT = new Context(() => undefined)

const LITERALS: readonly Expression['type'][] = ['const', 'name', 'list', 'tuple', 'dict']
/** Operations that have been looked through. */
const searched = new WeakSet<Expression | Slice>()

/**
 * Jinja2 works out the constant dicts within an operation when it compiles it, wherever it stands, and fails for a key that is a
 * list or a dict; a literal alone fails where the rendering comes to it.
 */
function refuseUnhashable(node: Expression, frame: Frame): void {
  if (frame.folding || frame.escaping.atRunTime || searched.has(node)) return
  const search = (inner: Expression | Slice | undefined) => {
    if (inner === undefined || inner.type === 'const' || inner.type === 'name') return
    for (const child of childrenOf(inner)) search(child)
    if (inner.type === 'dict') refuseKeys(inner)
    else searched.add(inner)
  }
  const refuseKeys = ({ items, line }: DictExpression) => {
    const pairs = items.map(({ key, value }) => [constantValue(key, frame), constantValue(value, frame)])
    if (pairs.some(([key, value]) => !key || !value)) return
    const dict = new Dict()
    try {
      for (const [key, value] of pairs) dict.set(key!.value, value!.value)
    } catch (error) {
      // An operation that is a constant all the same, such as `true or {[]: 1}`, is not looked into where it is printed.
      if (!constantValue(node, frame)) throw new TemplateSyntaxFault((error as Error).message, line)
    }
  }
  search(node)
}

/** What a constant prints where something is escaped: an `autoescape` that asks a variable leaves constants alone. */
export function printedConstant(node: Expression, frame: Frame): string | undefined {
  const { constant, atRunTime } = frame.escaping
  const known = constant || atRunTime ? constantValue(node, frame) : undefined
  if (!known || (known.value instanceof PyObject && !(known.value instanceof Dict))) return undefined
  return constant ? escaped(known.value) : text(known.value)
}
