import { invalidData } from '@tunesmith/core'
import { strftime } from './strftime'
import { Dict, Namespace } from './values/dict'
import { OverBudget, TemplateFault, Unsupported } from './values/fault'
import { listOf, unpack } from './values/iterate'
import { text } from './values/repr'
import { bind, signature } from './values/signature'
import { ADDRESS, Callable, isInt, type Kwargs, PyObject, Range, typeName, Undefined, type Value } from './values/value'

/** Jinja's sandbox allows no longer ranges either. */
const LONGEST_RANGE = 100_000

function rangeBound(value: Value): number {
  if (value instanceof Undefined) value.fail()
  if (!isInt(value)) throw new TemplateFault(`'${typeName(value)}' object cannot be interpreted as an integer`)
  if (typeof value === 'bigint') throw new OverBudget('makes a range of numbers beyond 2^53')
  return Number(value)
}

function range(args: readonly Value[], kwargs: Kwargs): Value {
  if (kwargs.size > 0) throw new TemplateFault('range() takes no keyword arguments')
  if (args.length < 1 || args.length > 3) throw new TemplateFault(`range expected 1 to 3 arguments, got ${args.length}`)
  const numbers = args.map(rangeBound)
  const [start, stop, step = 1] = numbers.length === 1 ? [0, numbers[0]] : numbers
  if (step === 0) throw new TemplateFault('range() arg 3 must not be zero')
  const made = new Range(start, stop, step)
  if (made.length > LONGEST_RANGE)
    throw new TemplateFault(`Range too big. The sandbox blocks ranges larger than ${LONGEST_RANGE}.`)
  return made
}

/** `dict(mapping or pairs, **more)`. */
function makeDict(args: readonly Value[], kwargs: Kwargs): Dict {
  if (args.length > 1) throw new TemplateFault(`dict expected at most 1 argument, got ${args.length}`)
  const [from] = args
  const dict = from === undefined ? new Dict() : Dict.of(pairsOf(from))
  for (const [name, value] of kwargs) dict.set(name, value)
  return dict
}

function pairsOf(from: Value): (readonly [Value, Value])[] {
  if (from instanceof Undefined) from.fail()
  if (from instanceof Dict) return from.items()
  return listOf(from).map((pair) => {
    const [key, value] = unpack(pair, 2)
    return [key, value]
  })
}

class Cycler extends PyObject {
  readonly typeName = 'Cycler'
  private place = 0

  constructor(private readonly values: readonly Value[]) {
    super()
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case 'current':
        return this.values[this.place]
      case 'pos':
        return this.place
      case 'items':
        return [...this.values]
      case 'next':
        return new Callable('next', () => this.next())
      case 'reset':
        return new Callable('reset', () => {
          this.place = 0
          return null
        })
      default:
        return undefined
    }
  }

  private next(): Value {
    const value = this.values[this.place]
    this.place = (this.place + 1) % this.values.length
    return value
  }

  override repr(): string {
    return `<jinja2.utils.Cycler object at ${ADDRESS}>`
  }
}

class Joiner extends Callable {
  override readonly typeName = 'Joiner'
  private used = false

  constructor(private readonly separator: Value) {
    super(
      'joiner',
      (args, kwargs) => this.next(args.length + kwargs.size),
      `<jinja2.utils.Joiner object at ${ADDRESS}>`,
    )
  }

  private next(given: number): Value {
    if (given > 0) throw new TemplateFault('a joiner takes no arguments')
    if (this.used) return this.separator
    this.used = true
    return ''
  }

  override attribute(name: string): Value | undefined {
    return name === 'sep' ? this.separator : name === 'used' ? this.used : undefined
  }
}

const named = (name: string, call: Callable['call'], printed?: string) =>
  [name, new Callable(name, call, printed)] as const
const classOf = (
  name: string,
  call: Callable['call'],
  path = `jinja2.utils.${name[0].toUpperCase()}${name.slice(1)}`,
) => named(name, call, `<class '${path}'>`)

/** The functions in reach of every template: Jinja's, and the two that transformers gives. */
export const GLOBALS: ReadonlyMap<string, Value> = new Map<string, Value>([
  named('range', range, `<function safe_range at ${ADDRESS}>`),
  classOf('dict', makeDict, 'dict'),
  classOf('namespace', (args, kwargs) => new Namespace(makeDict(args, kwargs))),
  classOf('cycler', (args, kwargs) => {
    if (args.length === 0 || kwargs.size > 0) throw new TemplateFault('at least one item has to be provided')
    return new Cycler(args)
  }),
  classOf('joiner', (args, kwargs) => {
    const [separator = ', '] = bind('joiner', signature('sep?'), args, kwargs)
    return new Joiner(separator)
  }),
  named('lipsum', () => {
    throw new Unsupported('lipsum() is not supported: it makes random text')
  }),
  named('raise_exception', (args, kwargs) => {
    const [message] = bind('raise_exception', signature('message'), args, kwargs)
    throw invalidData(text(message!), { where: 'chat template' })
  }),
  named('strftime_now', (args, kwargs) => {
    const [format] = bind('strftime_now', signature('format'), args, kwargs)
    return strftime(new Date(), text(format!))
  }),
])
