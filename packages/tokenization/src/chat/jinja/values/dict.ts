import { TemplateFault } from './fault'
import { Float } from './float'
import { Markup, normalInt, PyObject, Range, Tuple, typeName, Undefined, type Value } from './value'

/** What equal keys have in common: 1, 1.0 and true are one key, and so are a str and Markup of the same text. */
type Hash = string | number | bigint | null | object

const UNDEFINED_HASH = {}

/** A dict: any hashable keys, in the order they were first set. */
export class Dict extends PyObject {
  readonly typeName = 'dict'
  private readonly entries = new Map<Hash, Value>()
  /** The keys that are not their own hash. */
  private odd: Map<Hash, Value> | undefined

  static of(entries: Iterable<readonly [Value, Value]>): Dict {
    const dict = new Dict()
    for (const [key, value] of entries) dict.set(key, value)
    return dict
  }

  get size(): number {
    return this.entries.size
  }

  override len(): number {
    return this.entries.size
  }

  override iterate(): Value[] {
    return this.keys()
  }

  get(key: Value): Value | undefined {
    return this.entries.get(hashOf(key))
  }

  has(key: Value): boolean {
    return this.entries.has(hashOf(key))
  }

  /** Only for who makes the dict: a template cannot change it. */
  set(key: Value, value: Value): void {
    const hash = hashOf(key)
    if (hash !== key && !this.entries.has(hash)) {
      this.odd ??= new Map()
      this.odd.set(hash, key)
    }
    this.entries.set(hash, value)
  }

  keys(): Value[] {
    const hashes = [...this.entries.keys()]
    return this.odd ? hashes.map((hash) => this.keyOf(hash)) : (hashes as Value[])
  }

  values(): Value[] {
    return [...this.entries.values()]
  }

  items(): [Value, Value][] {
    return Array.from(this.entries, ([hash, value]) => [this.keyOf(hash), value])
  }

  private keyOf(hash: Hash): Value {
    const key = this.odd?.get(hash)
    return key === undefined ? (hash as Value) : key
  }
}

/** What `keys()`, `values()` and `items()` give. */
export class DictView extends PyObject {
  readonly typeName: string

  constructor(
    readonly kind: 'keys' | 'values' | 'items',
    readonly dict: Dict,
  ) {
    super()
    this.typeName = `dict_${kind}`
  }

  override len(): number {
    return this.dict.size
  }

  override iterate(): Value[] {
    return this.kind === 'items' ? this.dict.items().map((pair) => new Tuple(pair)) : this.dict[this.kind]()
  }
}

/** `namespace(...)`: the one thing a template may assign attributes of. */
export class Namespace extends PyObject {
  readonly typeName = 'Namespace'

  constructor(readonly fields: Dict) {
    super()
  }

  override attribute(name: string): Value | undefined {
    return this.fields.get(name)
  }
}

/** @throws {TemplateFault} for what Python cannot hash. */
export function hashOf(value: Value): Hash {
  if (typeof value === 'string') return value.charCodeAt(0) === 0 ? `\0s${value}` : value
  if (typeof value === 'number' || typeof value === 'bigint' || value === null) return value
  if (typeof value === 'boolean') return value ? 1 : 0
  if (value instanceof Markup) return hashOf(value.text)
  if (value instanceof Float) return hashOfFloat(value)
  if (value instanceof Tuple) return `\0t${value.items.map(described).join('')}`
  if (value instanceof Undefined) return UNDEFINED_HASH
  if (value instanceof Range) return `\0r${value.length}:${value.length > 0 && `${value.start}:${value.step}`}`
  if (Array.isArray(value) || value instanceof Dict || (value instanceof DictView && value.kind !== 'values'))
    throw new TemplateFault(`unhashable type: '${typeName(value)}'`)
  return value
}

function hashOfFloat(value: Float): Hash {
  const number = +value
  if (Number.isNaN(number)) return value
  return Number.isInteger(number) ? normalInt(BigInt(number)) : number
}

const identities = new WeakMap<object, number>()
let objects = 0

/** A text that only equal hashes share. */
function described(value: Value): string {
  const hash = hashOf(value)
  if (typeof hash === 'string') return `s${hash.length}:${hash}`
  if (hash === null || typeof hash !== 'object') return `n${hash};`
  if (!identities.has(hash)) identities.set(hash, objects++)
  return `o${identities.get(hash)};`
}
