import { equals } from '../values/compare'
import { Dict, DictView } from '../values/dict'
import { TemplateFault } from '../values/fault'
import { indexOf, type Range, type Value } from '../values/value'
import { type Method, method } from './method'

function countOf(items: readonly Value[], wanted: Value): number {
  return items.reduce<number>((count, item) => count + Number(item === wanted || equals(item, wanted)), 0)
}

function placeOf(items: readonly Value[], wanted: Value, start: Value | undefined, stop: Value | undefined): number {
  const bound = (value: Value | undefined, otherwise: number) => {
    const index = value === undefined ? otherwise : indexOf(value)
    return index < 0 ? Math.max(0, index + items.length) : Math.min(index, items.length)
  }
  const end = bound(stop, items.length)
  for (let i = bound(start, 0); i < end; i++) if (items[i] === wanted || equals(items[i], wanted)) return i
  throw new TemplateFault('the value is not in the sequence')
}

/** The methods of list and tuple that change nothing. */
export const SEQUENCE_METHODS: Record<string, Method<readonly Value[]>> = {
  count: method('/value', (self, value) => countOf(self, value!)),
  index: method('/value start? stop?', (self, value, start, stop) => placeOf(self, value!, start, stop)),
}

export const LIST_METHODS: Record<string, Method<readonly Value[]>> = {
  ...SEQUENCE_METHODS,
  copy: method('/', (self) => [...self]),
}

export const RANGE_METHODS: Record<string, Method<Range>> = {
  count: method('/value', (self, value) => countOf([...self.iterate()], value!)),
  index: method('/value', (self, value) => placeOf([...self.iterate()], value!, undefined, undefined)),
}

export const DICT_METHODS: Record<string, Method<Dict>> = {
  copy: method('/', (self) => Dict.of(self.items())),
  get: method('/key default?', (self, key, otherwise = null) => {
    const value = self.get(key!)
    return value === undefined ? otherwise : value
  }),
  items: method('/', (self) => new DictView('items', self)),
  keys: method('/', (self) => new DictView('keys', self)),
  values: method('/', (self) => new DictView('values', self)),
}

/** What the sandbox lets no template do: it would change the list or dict. */
export const MUTATING_LIST_METHODS = new Set('append clear pop reverse insert sort extend remove'.split(' '))
export const MUTATING_DICT_METHODS = new Set('clear pop popitem setdefault update'.split(' '))
