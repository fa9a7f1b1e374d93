import type { Parameters, Statement } from '../language/ast'
import { enter, leave } from '../values/budget'
import { Dict } from '../values/dict'
import { TemplateFault, TemplateSyntaxFault } from '../values/fault'
import { Callable, type Kwargs, Markup, Tuple, Undefined, type Value } from '../values/value'
import { compileExpression } from './compile-expression'
import { activate, compileEntry } from './entry'
import type { Frame } from './frame'
import { mentioned } from './mentions'
import type { Activation, Run, Runtime } from './runtime'
import { FunctionScope } from './symbols'

/** A macro, or the body of a call block as a macro without a name. */
class Macro extends Callable {
  override readonly typeName = 'Macro'

  constructor(
    private readonly shape: Shape,
    call: Callable['call'],
  ) {
    super(shape.name ?? 'caller', call, shape.name === undefined ? '<Macro anonymous>' : `<Macro '${shape.name}'>`)
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case 'name':
        return this.shape.name ?? null
      case 'arguments':
        return new Tuple(this.shape.names)
      case 'catch_kwargs':
        return this.shape.kwargs
      case 'catch_varargs':
        return this.shape.varargs
      case 'caller':
        return this.shape.caller
      case 'explicit_caller':
        return this.shape.names.includes('caller')
      default:
        return undefined
    }
  }
}

interface Shape {
  name: string | undefined
  names: readonly string[]
  /** Whether the body uses what a call may give beside the parameters. */
  caller: boolean
  kwargs: boolean
  varargs: boolean
}

/** What makes the macro, with the variables that are around it when the tag is come to. */
export function compileMacro(
  name: string | undefined,
  { parameters, body, line }: { parameters: Parameters; body: readonly Statement[]; line: number },
  frame: Frame,
  compileBody: (body: readonly Statement[], frame: Frame) => Run,
): (runtime: Runtime, activation: Activation) => Macro {
  const { names, defaults } = parameters
  const scope = new FunctionScope(frame.scope)
  const inner = frame.inner({ owner: scope })
  const { symbols } = inner
  symbols.enterMacro(parameters, body)
  const used = mentioned(body, ['caller', 'kwargs', 'varargs'])
  const firstDefault = names.length - defaults.length
  const explicit = names.indexOf('caller')
  if (used.has('caller') && explicit !== -1 && explicit < firstDefault)
    throw new TemplateSyntaxFault('the special "caller" argument must be omitted or be given a default', line)
  const uses = (special: string) => used.has(special) && !names.includes(special)
  const shape: Shape = { name, names, caller: used.has('caller'), kwargs: uses('kwargs'), varargs: uses('varargs') }
  const places = names.map((parameter) => symbols.find(parameter)!.index)
  const special = (parameter: string) => (uses(parameter) ? symbols.parameter(parameter).index : undefined)
  const specials = { caller: special('caller'), kwargs: special('kwargs'), varargs: special('varargs') }
  symbols.enterMacro(parameters, body)
  const values = defaults.map((value) => compileExpression(value, inner))
  const run = compileBody(body, inner)
  const entry = compileEntry(inner)

  return (runtime, parent) =>
    new Macro(shape, (args, kwargs) => {
      enter()
      const activation = activate(scope, parent)
      const given = receive(shape, args, kwargs)
      places.forEach((place, i) => {
        activation.slots[place] = given.values[i]
      })
      for (const key of ['caller', 'kwargs', 'varargs'] as const)
        if (specials[key] !== undefined) activation.slots[specials[key]] = given[key]
      entry(activation)
      places.forEach((place, i) => {
        if (activation.slots[place] !== undefined) return
        const value = i < firstDefault ? notProvided(names[i]) : values[i - firstDefault](runtime, activation)
        activation.slots[place] = value
      })
      const escapes = runtime.autoescape
      runtime.capture(run, activation)
      leave()
      return escapes ? new Markup(runtime.captured) : runtime.captured
    })
}

function notProvided(name: string): Undefined {
  return new Undefined(() => `parameter '${name}' was not provided`)
}

/** Sorts a call's arguments as Jinja2's macros take them. */
function receive(shape: Shape, args: readonly Value[], given: Kwargs) {
  const { names } = shape
  const kwargs = new Map(given)
  const values: (Value | undefined)[] = args.slice(0, names.length)
  let foundCaller = values.length === names.length && names.includes('caller')
  for (const name of names.slice(values.length)) {
    values.push(kwargs.get(name))
    kwargs.delete(name)
    if (name === 'caller') foundCaller = true
  }
  let caller: Value | undefined
  if (shape.caller && !foundCaller) {
    caller = kwargs.get('caller') ?? new Undefined(() => 'No caller defined')
    kwargs.delete('caller')
  }
  const [extra] = kwargs.keys()
  if (extra !== undefined && !shape.kwargs)
    throw new TemplateFault(
      extra === 'caller'
        ? `macro '${shape.name}' was invoked with two values for the special caller argument`
        : `macro '${shape.name}' takes no keyword argument '${extra}'`,
    )
  if (!shape.varargs && args.length > names.length)
    throw new TemplateFault(`macro '${shape.name}' takes not more than ${names.length} argument(s)`)
  return { values, caller, kwargs: Dict.of(kwargs), varargs: new Tuple(args.slice(names.length)) }
}
