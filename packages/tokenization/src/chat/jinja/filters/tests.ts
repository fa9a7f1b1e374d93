import { isNumber } from '../values/arithmetic'
import { contains, equals, inOrder, type Order } from '../values/compare'
import { Dict, hashOf, Namespace } from '../values/dict'
import { Float } from '../values/float'
import { iterable, lengthIf } from '../values/iterate'
import { isLower, isUpper } from '../values/letters'
import { operate } from '../values/operators'
import { text } from '../values/repr'
import { bind, signature } from '../values/signature'
import { Callable, isInt, isText, Markup, PyObject, Range, textOf, Undefined, type Value } from '../values/value'
import type { Test } from './filter'
import { FILTERS } from './index'

function test(parameters: string, call: (value: Value, ...args: Value[]) => boolean): Test {
  const expected = signature(parameters)
  return (_environment, value, args, kwargs) => call(value, ...(bind('the test', expected, args, kwargs) as Value[]))
}

const ordering = (order: Order) => test('/other', (value, other) => inOrder(value, order, other))
const divides = (value: Value, by: Value, rest: number) => equals(operate('%', value, by), rest)
const equal = test('/other', (value, other) => equals(value, other))
const unequal = test('/other', (value, other) => !equals(value, other))

function isSequence(value: Value): boolean {
  if (value instanceof PyObject) return value instanceof Range || value instanceof Dict
  return lengthIf(value) !== undefined
}

function isKey(value: Value, table: ReadonlyMap<string, unknown>): boolean {
  hashOf(value)
  return isText(value) && table.has(textOf(value))
}

const NAMED = new Map<string, Test>()

/** Jinja's tests. */
export const TESTS: ReadonlyMap<string, Test> = NAMED

const all: Record<string, Test> = {
  boolean: test('', (value) => typeof value === 'boolean'),
  callable: test('', (value) => value instanceof Callable || value instanceof Undefined),
  defined: test('', (value) => !(value instanceof Undefined)),
  divisibleby: test('num', (value, by) => divides(value, by, 0)),
  escaped: test('', (value) => value instanceof Markup),
  even: test('', (value) => divides(value, 2, 0)),
  false: test('', (value) => value === false),
  filter: test('', (value) => isKey(value, FILTERS)),
  float: test('', (value) => value instanceof Float),
  in: test('seq', (value, container) => contains(container, value)),
  integer: test('', (value) => isInt(value) && typeof value !== 'boolean'),
  iterable: test('', (value) => !(value instanceof Namespace) && iterable(value) !== undefined),
  lower: test('', (value) => isLower(text(value))),
  mapping: test('', (value) => value instanceof Dict),
  none: test('', (value) => value === null),
  number: test('', isNumber),
  odd: test('', (value) => divides(value, 2, 1)),
  sameas: test('other', (value, other) => value === other),
  sequence: test('', isSequence),
  string: test('', isText),
  test: test('', (value) => isKey(value, TESTS)),
  true: test('', (value) => value === true),
  undefined: test('', (value) => value instanceof Undefined),
  upper: test('', (value) => isUpper(text(value))),
  '==': equal,
  eq: equal,
  equalto: equal,
  '!=': unequal,
  ne: unequal,
  '>': ordering('>'),
  gt: ordering('>'),
  greaterthan: ordering('>'),
  '>=': ordering('>='),
  ge: ordering('>='),
  '<': ordering('<'),
  lt: ordering('<'),
  lessthan: ordering('<'),
  '<=': ordering('<='),
  le: ordering('<='),
}
for (const [name, one] of Object.entries(all)) NAMED.set(name, one)
