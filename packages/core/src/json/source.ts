/**
 * What the text of a JSON file says and a JavaScript object cannot hold: that `20.0` is a floating-point number, the
 * digits of a number, and the order of keys such as `"10"` and `"9"`. It is kept beside the object, not in it, so that
 * rows stay plain objects: a copy made by spreading or by `structuredClone` no longer has it.
 */
export interface JsonSource {
  /** The keys in the order of the text, when the object's own order differs. */
  readonly keys?: readonly string[]
  /** The text of each number, by key or index, that `JSON.stringify` would write in another way. */
  readonly numbers?: ReadonlyMap<string, string>
  /** The keys whose numbers are floating-point numbers whatever their value, from a file with types; `true`: all of them. */
  readonly floats?: ReadonlySet<string> | true
}

/** What was kept for a value and everything in it, in a form that can be cloned. */
export type JsonSources = readonly (readonly [position: number, source: JsonSource])[]

/**
 * The sources of this thread, and how they travel with a copy. A single self-contained function, because {@link WorkerPool}
 * gives it to its threads as text; all copies of this package in a thread share one list.
 */
export function createJsonSources() {
  const global = globalThis as unknown as Record<symbol, WeakMap<object, JsonSource>>
  const name = Symbol.for('tunesmith.jsonSources')
  global[name] ??= new WeakMap()
  const sources = global[name]

  /** Objects in an order that depends on the content alone. */
  function visit(root: unknown, see: (object: object, position: number) => void): void {
    const seen = new Set<object>()
    const pending = [root]
    while (pending.length > 0) {
      const value = pending.pop()
      if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || seen.has(value)) continue
      see(value, seen.size)
      seen.add(value)
      const prototype = Object.getPrototypeOf(value)
      const children = Array.isArray(value)
        ? value
        : prototype === Object.prototype || prototype === null
          ? Object.values(value)
          : []
      for (const child of children) if (typeof child === 'object') pending.push(child)
    }
  }

  return {
    sources,
    /** What was kept for a value and everything in it; undefined when nothing was. */
    collect(value: unknown): JsonSources | undefined {
      const found: [number, JsonSource][] = []
      visit(value, (object, position) => {
        const source = sources.get(object)
        if (source) found.push([position, source])
      })
      return found.length > 0 ? found : undefined
    },
    /** Puts what was collected beside the objects of a copy. */
    restore(copy: unknown, collected: JsonSources | undefined): void {
      if (!collected) return
      const byPosition = new Map(collected)
      visit(copy, (object, position) => {
        const source = byPosition.get(position)
        if (source) sources.set(object, source)
      })
    },
  }
}

const { sources, collect, restore } = createJsonSources()

/** What was kept for a value and everything in it, to be sent along where the value is copied, such as to a file. */
export const collectJsonSources = collect
/** Puts collected sources beside the objects of a copy. */
export const restoreJsonSources = restore

/** Keeps what the text says about an object or array. */
export function setJsonSource(target: object, source: JsonSource): void {
  sources.set(target, source)
}

/** An object's keys in the order of the text it was read from; keys added since then come last. */
export function jsonKeys(object: object): string[] {
  const keys = Object.keys(object)
  const order = sources.get(object)?.keys
  if (!order) return keys
  const present = new Set(keys)
  const known = order.filter((key) => present.delete(key))
  return [...known, ...present]
}

/** The text of the number at a key or index, such as `20.0`; undefined when its plain form says the same, or it has been changed. */
export function jsonNumberText(object: object, key: string | number): string | undefined {
  const source = sources.get(object)
  if (!source) return undefined
  const value = (object as Record<string, unknown>)[key]
  if (source.floats === true || source.floats?.has(String(key))) return floatText(value)
  const text = source.numbers?.get(String(key))
  return text !== undefined && Object.is(value, numberOf(text)) ? text : undefined
}

/** A whole floating-point number as Python writes it; undefined for others, which JavaScript writes with their fraction. */
function floatText(value: unknown): string | undefined {
  if (typeof value !== 'number' || !Number.isInteger(value)) return undefined
  if (Math.abs(value) >= 1e16) return value.toExponential()
  return Object.is(value, -0) ? '-0.0' : `${value}.0`
}

/**
 * Gives a copy of an object, made field by field, what is known of the original's text; what it has from another original stays.
 *
 * @param nameOf what the copy calls a key; undefined when it has it not. Default the same name.
 * @returns the copy.
 */
export function copyJsonSource<Copy extends object>(
  original: object,
  copy: Copy,
  nameOf: (key: string) => string | undefined = (key) => key,
): Copy {
  const source = sources.get(original)
  if (!source) return copy
  const { floats } = source
  const before = sources.get(copy)
  const keys = source.keys?.flatMap((key) => nameOf(key) ?? []) ?? before?.keys
  const numbers = new Map<string, string>(before?.numbers)
  for (const [key, text] of source.numbers ?? []) {
    const name = nameOf(key)
    if (name !== undefined) numbers.set(name, text)
  }
  const floating = floats && floats !== true ? new Set([...floats].flatMap((key) => nameOf(key) ?? [])) : floats
  sources.set(copy, {
    ...(keys && { keys }),
    ...(numbers.size > 0 && { numbers }),
    ...(floating && { floats: floating }),
  })
  return copy
}

/** The value of a number's text. An integer has no negative zero, as in Python. */
export function numberOf(text: string): number {
  return text === '-0' ? 0 : Number(text)
}

/** Whether a number's text is one of a floating-point number. */
export function isFloatText(text: string): boolean {
  return /[.eEN]|Inf/.test(text)
}
