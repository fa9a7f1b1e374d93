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
}

const sources = new WeakMap<object, JsonSource>()

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
  const text = sources.get(object)?.numbers?.get(String(key))
  if (text === undefined) return undefined
  const value = (object as Record<string, unknown>)[key]
  return Object.is(value, numberOf(text)) ? text : undefined
}

/** The value of a number's text. An integer has no negative zero, as in Python. */
export function numberOf(text: string): number {
  return text === '-0' ? 0 : Number(text)
}

/** Whether a number's text is one of a floating-point number. */
export function isFloatText(text: string): boolean {
  return /[.eEN]|Inf/.test(text)
}

/** The sources inside a value, by the position of their object in a walk through it. */
export type JsonSources = readonly (readonly [position: number, source: JsonSource])[]

/**
 * What was kept for a value and everything in it, to be sent along where the value is copied, such as to a worker;
 * undefined when nothing was.
 */
export function collectJsonSources(value: unknown): JsonSources | undefined {
  const found: [number, JsonSource][] = []
  visitObjects(value, (object, position) => {
    const source = sources.get(object)
    if (source) found.push([position, source])
  })
  return found.length > 0 ? found : undefined
}

/** Puts collected sources beside the objects of a copy. */
export function restoreJsonSources(copy: unknown, collected: JsonSources | undefined): void {
  if (!collected) return
  const byPosition = new Map(collected)
  visitObjects(copy, (object, position) => {
    const source = byPosition.get(position)
    if (source) sources.set(object, source)
  })
}

function visitObjects(root: unknown, visit: (object: object, position: number) => void): void {
  const seen = new Set<object>()
  const pending = [root]
  while (pending.length > 0) {
    const value = pending.pop()
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || seen.has(value)) continue
    visit(value, seen.size)
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
