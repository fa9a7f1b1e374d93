import {
  Callable,
  compare,
  equals,
  Float,
  iterate,
  Namespace,
  numberOf,
  TemplateFault,
  text,
  Undefined,
  type Value,
} from './values'

export type Predicate = (value: Value, args: Value[]) => boolean

function int(value: Value): number {
  const n = numberOf(value)
  if (n === undefined) throw new TemplateFault('this test needs a number')
  return n
}

/** `x in y`. */
export function contains(container: Value, item: Value): boolean {
  if (typeof container === 'string') {
    if (typeof item !== 'string') throw new TemplateFault("'in <string>' requires string as left operand")
    return container.includes(item)
  }
  if (container instanceof Map) return typeof item === 'string' && container.has(item)
  return iterate(container).some((entry) => equals(entry, item))
}

const order =
  (wanted: (c: number) => boolean): Predicate =>
  (value, [other]) =>
    wanted(compare(value, other ?? null))

const PREDICATES: Record<string, Predicate> = {
  defined: (value) => !(value instanceof Undefined),
  undefined: (value) => value instanceof Undefined,
  none: (value) => value === null,
  boolean: (value) => typeof value === 'boolean',
  true: (value) => value === true,
  false: (value) => value === false,
  string: (value) => typeof value === 'string',
  number: (value) => numberOf(value) !== undefined,
  integer: (value) => typeof value === 'number',
  float: (value) => value instanceof Float,
  mapping: (value) => value instanceof Map,
  sequence: (value) => typeof value === 'string' || Array.isArray(value) || value instanceof Map,
  iterable: (value) =>
    typeof value === 'string' || Array.isArray(value) || value instanceof Map || value instanceof Undefined,
  callable: (value) => value instanceof Callable || value instanceof Namespace,
  odd: (value) => Math.abs(int(value) % 2) === 1,
  even: (value) => int(value) % 2 === 0,
  divisibleby: (value, [by]) => int(value) % int(by ?? null) === 0,
  lower: (value) => text(value) !== text(value).toUpperCase() && text(value) === text(value).toLowerCase(),
  upper: (value) => text(value) !== text(value).toLowerCase() && text(value) === text(value).toUpperCase(),
  in: (value, [container]) => contains(container ?? null, value),
  eq: (value, [other]) => equals(value, other ?? null),
  ne: (value, [other]) => !equals(value, other ?? null),
  sameas: (value, [other]) => value === other,
  lt: order((c) => c < 0),
  le: order((c) => c <= 0),
  gt: order((c) => c > 0),
  ge: order((c) => c >= 0),
}
const ALIASES: Record<string, string> = {
  equalto: 'eq',
  '==': 'eq',
  '!=': 'ne',
  '<': 'lt',
  lessthan: 'lt',
  '<=': 'le',
  '>': 'gt',
  greaterthan: 'gt',
  '>=': 'ge',
}

/** The test `name` of `x is name`. */
export function predicate(name: string): Predicate {
  const key = ALIASES[name] ?? name
  if (!Object.hasOwn(PREDICATES, key)) throw new TemplateFault(`No test named '${name}'.`)
  return PREDICATES[key]!
}
