const maps = new WeakMap<object, ReadonlyMap<string, number>>()

/** The vocabulary of a model as a map, made once for each; the object that JSON gives is slow to go through. */
export function vocabMap(vocab: unknown): ReadonlyMap<string, number> {
  const object = vocab as Record<string, number>
  let map = maps.get(object)
  if (map === undefined) {
    map = new Map(Object.entries(object))
    maps.set(object, map)
  }
  return map
}
