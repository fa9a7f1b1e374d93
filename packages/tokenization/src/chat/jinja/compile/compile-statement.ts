import type { BlockStatement, CallBlock, ForStatement, IfStatement, Statement, Target } from '../language/ast'
import { enter, leave, step } from '../values/budget'
import { Namespace } from '../values/dict'
import { TemplateFault, TemplateSyntaxFault } from '../values/fault'
import { iterate, unpack } from '../values/iterate'
import { escaped } from '../values/operators'
import { text } from '../values/repr'
import { isText, Markup, textOf, truthy, typeName, type Value } from '../values/value'
import {
  call,
  compileArguments,
  compileExpression,
  constantValue,
  distance,
  printedConstant,
  reader,
} from './compile-expression'
import { activate, compileEntry, compileExit } from './entry'
import { type Escaping, escapes, type Frame } from './frame'
import { Loop } from './loop'
import { compileMacro } from './macro'
import { mentioned } from './mentions'
import { type Activation, BREAK, CONTINUE, Context, NEXT, type Run, type Runtime, type Signal } from './runtime'
import { FunctionScope, type Slot } from './symbols'

/** Makes statements one function. */
export function compileBody(statements: readonly Statement[], frame: Frame): Run {
  const runs = statements.map((statement) => compileStatement(statement, frame))
  if (runs.length === 1) return runs[0]
  return (runtime, activation) => {
    for (let i = 0; i < runs.length; i++) {
      const signal = runs[i](runtime, activation)
      if (signal !== NEXT) return signal
    }
    return NEXT
  }
}

function compileStatement(node: Statement, frame: Frame): Run {
  switch (node.type) {
    case 'output':
      return compileOutput(node, frame)
    case 'for':
      return compileFor(node, frame)
    case 'if':
      return compileIf(node, frame.softened())
    case 'macro': {
      const make = compileMacro(node.name, node, frame, compileBody)
      const assign = compileAssignment({ type: 'name', line: node.line, name: node.name }, frame)
      return (runtime, activation) => {
        assign(runtime, activation, make(runtime, activation))
        return NEXT
      }
    }
    case 'call block':
      return compileCallBlock(node, frame)
    case 'filter block': {
      const inner = frame.inner()
      inner.symbols.enterFilterBlock(node.filter, node.body)
      return compileCapture(inner, node.body, compileExpression(node.filter, inner), printText)
    }
    case 'with':
      return compileWith(node, frame)
    case 'set': {
      const value = compileExpression(node.value, frame)
      const assign = compileAssignment(node.target, frame)
      const { line } = node
      return (runtime, activation) => {
        step()
        runtime.line = line
        assign(runtime, activation, value(runtime, activation))
        return NEXT
      }
    }
    case 'set block': {
      const inner = frame.inner()
      inner.symbols.enterBody(node.body)
      const value = node.filter ? compileExpression(node.filter, inner) : (runtime: Runtime) => runtime.captured
      const assign = compileAssignment(node.target, frame)
      return compileCapture(inner, node.body, value, (runtime, result, activation) => {
        assign(
          runtime,
          activation,
          runtime.autoescape && !(result instanceof Markup) ? new Markup(text(result)) : result,
        )
      })
    }
    case 'autoescape':
      return compileAutoescape(node, frame)
    case 'block':
      return compileBlockReference(node, frame)
    case 'break':
    case 'continue': {
      if (!frame.inLoop) throw new TemplateSyntaxFault(`'${node.type}' outside loop`, node.line)
      const signal = node.type === 'break' ? BREAK : CONTINUE
      return () => signal
    }
  }
}

type Print = (runtime: Runtime, value: Value, activation: Activation) => void

/** Prints a value, escaped or not. */
function printer(escaping: Escaping): Print {
  if (!escaping.constant && !escaping.atRunTime) return (runtime, value) => runtime.emit(text(value))
  return (runtime, value) => runtime.emit(escapes(escaping, runtime) ? escaped(value) : text(value))
}

/** Prints what a block came to, as it is; Jinja2 can print nothing there but text. */
function printText(runtime: Runtime, value: Value): void {
  if (!isText(value)) throw new TemplateFault(`expected str instance, ${typeName(value)} found`)
  runtime.emit(textOf(value))
}

function compileOutput(node: Extract<Statement, { type: 'output' }>, frame: Frame): Run {
  const print = printer(frame.escaping)
  const parts: Run[] = node.items.map((item) => {
    if (item.type === 'data') {
      const { text: data } = item
      return (runtime) => {
        runtime.emit(data)
        return NEXT
      }
    }
    const { line } = item
    const fixed = printedConstant(item, frame)
    if (fixed !== undefined)
      return (runtime) => {
        runtime.emit(fixed)
        return NEXT
      }
    const value = compileExpression(item, frame)
    return (runtime, activation) => {
      step()
      runtime.line = line
      print(runtime, value(runtime, activation), activation)
      return NEXT
    }
  })
  if (parts.length === 1) return parts[0]
  return (runtime, activation) => {
    for (let i = 0; i < parts.length; i++) parts[i](runtime, activation)
    return NEXT
  }
}

/** Runs a body into a buffer and hands the value made of it on; that value sees the body's variables. */
function compileCapture(
  inner: Frame,
  body: readonly Statement[],
  value: (runtime: Runtime, activation: Activation) => Value,
  then: Print,
): Run {
  const run = compileBody(body, inner)
  const [entry, exit] = [compileEntry(inner), compileExit(inner)]
  return (runtime, activation) => {
    step()
    entry(activation)
    const signal = runtime.capture(run, activation)
    // A loop that is left from inside loses what the buffer held.
    if (signal !== NEXT) return signal
    then(runtime, value(runtime, activation), activation)
    exit(activation)
    return NEXT
  }
}

/** A body with variables of its own, of the activation it stands in. */
function compileScope(frame: Frame, body: readonly Statement[]): Run {
  const run = compileBody(body, frame)
  const entry = compileEntry(frame)
  const exit = compileExit(frame)
  return (runtime, activation) => {
    entry(activation)
    const signal = run(runtime, activation)
    if (signal === NEXT) exit(activation)
    return signal
  }
}

export type Assign = (runtime: Runtime, activation: Activation, value: Value) => void

function compileAssignment(target: Target, frame: Frame): Assign {
  const check = compileNamespaceChecks(target, frame)
  const assign = compileTarget(target, frame)
  if (!check) return assign
  return (runtime, activation, value) => {
    check(activation)
    assign(runtime, activation, value)
  }
}

export function compileTarget(target: Target, frame: Frame): Assign {
  if (target.type === 'tuple') {
    const parts = target.items.map((item) => compileTarget(item, frame))
    return (runtime, activation, value) => {
      const values = unpack(value, parts.length)
      for (let i = 0; i < parts.length; i++) parts[i](runtime, activation, values[i])
    }
  }
  if (target.type === 'namespace attribute') {
    const read = reader(frame.slotOf(target.name, target.line), frame.scope)
    const { attribute } = target
    return (_runtime, activation, value) => (read(activation) as Namespace).fields.set(attribute, value)
  }
  const slot = frame.slotOf(target.name, target.line)
  const { name } = target
  const { index } = slot
  if (distance(frame.scope, slot) !== 0) throw new Error(`the variable ${name} is set outside of its own scope`)
  if (!frame.toplevel)
    return (_runtime, activation, value) => {
      activation.slots[index] = value
    }
  return (_runtime, activation, value) => {
    activation.slots[index] = value
    activation.context.exported.set(name, value)
  }
}

/** Only a namespace's attributes can be set; that is checked before anything is. */
function compileNamespaceChecks(target: Target, frame: Frame): ((activation: Activation) => void) | undefined {
  const names = namespacesIn(target)
  if (names.length === 0) return undefined
  const reads = names.map((name) => reader(frame.slotOf(name, target.line), frame.scope))
  return (activation) => {
    for (const read of reads)
      if (!(read(activation) instanceof Namespace))
        throw new TemplateFault('cannot assign attribute on non-namespace object')
  }
}

function namespacesIn(target: Target): string[] {
  if (target.type === 'tuple') return target.items.flatMap(namespacesIn)
  return target.type === 'namespace attribute' ? [target.name] : []
}

function compileIf(node: IfStatement, frame: Frame): Run {
  const branches = [node, ...node.elifs].map(({ test, body, line }) => ({
    test: compileExpression(test, frame),
    run: compileBody(body, frame),
    line,
  }))
  const otherwise = compileBody(node.otherwise, frame)
  return (runtime, activation) => {
    step()
    for (let i = 0; i < branches.length; i++) {
      const { test, run, line } = branches[i]
      runtime.line = line
      if (truthy(test(runtime, activation))) return run(runtime, activation)
    }
    return otherwise(runtime, activation)
  }
}

function compileWith(node: Extract<Statement, { type: 'with' }>, frame: Frame): Run {
  const inner = frame.inner()
  inner.symbols.enterWith(node.targets, node.body)
  const sets = node.targets.map((target, i) => ({
    value: compileExpression(node.values[i], frame),
    assign: compileTarget(target, inner),
  }))
  const body = compileBody(node.body, inner)
  const [entry, exit] = [compileEntry(inner), compileExit(inner)]
  const { line } = node
  return (runtime, activation) => {
    step()
    runtime.line = line
    entry(activation)
    for (const { value, assign } of sets) assign(runtime, activation, value(runtime, activation))
    const signal = body(runtime, activation)
    if (signal === NEXT) exit(activation)
    return signal
  }
}

function compileAutoescape(node: Extract<Statement, { type: 'autoescape' }>, frame: Frame): Run {
  const { value } = node
  const { constant, atRunTime } = frame.escaping
  const known = constantValue(value, frame)
  const escaping = known ? { constant: truthy(known.value), atRunTime } : { constant, atRunTime: true }
  const inner = frame.inner({ escaping })
  inner.symbols.enterAutoescape(value, node.body)
  const chosen = compileExpression(value, inner)
  const body = compileBody(node.body, inner)
  const [entry, exit] = [compileEntry(inner), compileExit(inner)]
  return (runtime, activation) => {
    const before = runtime.autoescape
    entry(activation)
    runtime.autoescape = truthy(chosen(runtime, activation))
    const signal = body(runtime, activation)
    if (signal !== NEXT) return signal
    runtime.autoescape = before
    exit(activation)
    return NEXT
  }
}

function compileFor(node: ForStatement, frame: Frame): Run {
  refuseLoopTarget(node)
  const owner = node.recursive ? new FunctionScope(frame.scope) : frame.scope
  const inner = frame.inner({ owner, inLoop: true })
  const extended = node.recursive || mentioned(node.body, ['loop']).has('loop') || hasScopedBlock(node.body)
  const loopSlot = extended ? inner.symbols.parameter('loop') : undefined
  inner.symbols.enterLoop(node)
  const filter = compileLoopTest(node, frame)
  const turns = compileTurns(node, inner, loopSlot)
  const otherwise = compileElse(node, frame, owner)
  const iterable = compileExpression(node.iterable, frame)
  const { line } = node
  if (node.recursive) return compileRecursive(owner, turns, otherwise, filter, iterable, frame.escaping, line)
  return (runtime, activation) => {
    runtime.line = line
    step()
    const source = iterable(runtime, activation)
    const items = filter ? filter(runtime, activation, source) : iterate(source)
    const loop = loopSlot && new Loop(items, filter ? undefined : source, 0, undefined)
    return turns(runtime, activation, items, loop) ? NEXT : otherwise(runtime, activation)
  }
}

function refuseLoopTarget({ target, line }: ForStatement): void {
  const names = (part: Target): string[] => (part.type === 'tuple' ? part.items.flatMap(names) : [part.name])
  if (names(target).includes('loop'))
    throw new TemplateSyntaxFault("Can't assign to special loop variable in for-loop target", line)
}

function hasScopedBlock(body: readonly Statement[]): boolean {
  return [...blocksIn(body)].some((block) => block.scoped)
}

/** All blocks of a body, those inside others included. */
export function* blocksIn(body: readonly Statement[]): Generator<BlockStatement, void, undefined> {
  for (const node of body) {
    if (node.type === 'block') yield node
    if ('body' in node) yield* blocksIn(node.body)
    if ('elifs' in node) yield* blocksIn(node.elifs)
    if ('otherwise' in node) yield* blocksIn(node.otherwise)
  }
}

type LoopFilter = (runtime: Runtime, activation: Activation, source: Value) => Iterable<Value>

/** `for ... if test`: a generator, which tests an item when the loop comes to it. */
function compileLoopTest({ target, test }: ForStatement, frame: Frame): LoopFilter | undefined {
  if (!test) return undefined
  const scope = new FunctionScope(frame.scope)
  const inner = frame.inner({ owner: scope })
  inner.symbols.enterLoopTest(target, test)
  const assign = compileTarget(target, inner)
  const chosen = compileExpression(test, inner)
  const entry = compileEntry(inner)
  return function* (runtime, parent, source) {
    const activation = activate(scope, parent)
    entry(activation)
    for (const item of iterate(source)) {
      step()
      assign(runtime, activation, item)
      if (truthy(chosen(runtime, activation))) yield item
    }
  }
}

type Turns = (runtime: Runtime, activation: Activation, items: Iterable<Value>, loop: Loop | undefined) => boolean

/** The turns of a loop; gives whether the loop's else is left out. */
function compileTurns(node: ForStatement, inner: Frame, loopSlot: Slot | undefined): Turns {
  const assign = compileTarget(node.target, inner)
  const body = compileBody(node.body, inner)
  const [entry, exit] = [compileEntry(inner), compileExit(inner)]
  return (runtime, activation, items, loop) => {
    let completed = false
    const turn = (item: Value): Signal => {
      step()
      assign(runtime, activation, item)
      if (loopSlot) activation.slots[loopSlot.index] = loop
      entry(activation)
      const signal = body(runtime, activation)
      // The else is left out once a turn has come to its end.
      if (signal === NEXT) completed = true
      return signal
    }
    if (loop) {
      for (let item = loop.next(); item !== undefined; item = loop.next()) if (turn(item) === BREAK) break
    } else for (const item of items) if (turn(item) === BREAK) break
    exit(activation)
    return completed
  }
}

function compileElse(node: ForStatement, frame: Frame, owner: FunctionScope): Run {
  if (node.otherwise.length === 0) return () => NEXT
  const inner = frame.inner({ owner })
  inner.symbols.enterBody(node.otherwise)
  return compileScope(inner, node.otherwise)
}

function compileRecursive(
  scope: FunctionScope,
  turns: Turns,
  otherwise: Run,
  filter: LoopFilter | undefined,
  iterable: (runtime: Runtime, activation: Activation) => Value,
  escaping: Escaping,
  line: number,
): Run {
  return (runtime, parent) => {
    const render = (source: Value, depth: number): Value => {
      enter()
      const activation = activate(scope, parent)
      const items = filter ? filter(runtime, parent, source) : iterate(source)
      const loop = new Loop(items, filter ? undefined : source, depth, render)
      runtime.capture(
        (_runtime, inside) => (turns(runtime, inside, items, loop) ? NEXT : otherwise(runtime, inside)),
        activation,
      )
      leave()
      return escapes(escaping, runtime) ? new Markup(runtime.captured) : runtime.captured
    }
    runtime.line = line
    runtime.emit(text(render(iterable(runtime, parent), 0)))
    return NEXT
  }
}

function compileCallBlock(node: CallBlock, frame: Frame): Run {
  const make = compileMacro(undefined, node, frame, compileBody)
  if (node.call === 'generation')
    return (runtime, activation) => {
      const printed = text(make(runtime, activation).call([], new Map()))
      runtime.generate(printed)
      return NEXT
    }
  const { callee, args } = node.call
  if (args.named.some(({ name }) => name === 'caller'))
    throw new TemplateSyntaxFault('keyword argument repeated: caller', node.line)
  const target = compileExpression(callee, frame)
  const given = compileArguments(args, frame)
  const { line } = node
  return (runtime, activation) => {
    step()
    const caller = make(runtime, activation)
    const called = target(runtime, activation)
    const kwargs = new Map(given.named(runtime, activation))
    if (kwargs.has('caller')) throw new TemplateFault("got multiple values for keyword argument 'caller'")
    kwargs.set('caller', caller)
    const positional = given.positional(runtime, activation)
    runtime.line = line
    printText(runtime, call(called, positional, kwargs))
    return NEXT
  }
}

/** `{% block %}`: prints the block, which sees what the template sets outside of scopes, or with `scoped` all names here. */
function compileBlockReference({ name, scoped, required }: BlockStatement, frame: Frame): Run {
  const locals = scoped
    ? [...frame.symbols.stored()].map(([local, slot]) => [local, reader(slot, frame.scope)] as const)
    : []
  return (runtime, activation) => {
    if (required) throw new TemplateFault(`Required block '${name}' not found`)
    runtime.printBlock(name, scoped ? derived(activation, locals) : activation.context)
    return NEXT
  }
}

function derived(
  activation: Activation,
  locals: readonly (readonly [string, (activation: Activation) => Value | undefined])[],
): Context {
  const values = new Map(locals.map(([name, read]) => [name, read(activation)]))
  return new Context((name) => {
    const value = values.get(name)
    return value === undefined ? activation.context.resolve(name) : value
  })
}
