/** Functions of an addon, each called with one object of named fields. */
export type Operations<Fields extends Record<string, readonly string[]>, Value> = {
  [Name in keyof Fields]: (given: Record<Fields[Name][number], Value>) => void
}

/**
 * Makes them from the names of their fields. The names go to the addon once, with `bind`; a call hands over the values in
 * their order, because reading a property in C++ costs ten times as much as reading an argument.
 */
export function bindOperations<Fields extends Record<string, readonly string[]>, Value>(
  fields: Fields,
  bind: (name: string, fields: readonly string[]) => (values: Value[]) => void,
): Operations<Fields, Value> {
  const bound = Object.entries(fields).map(([name, names]) => {
    const call = bind(name, names)
    return [name, (given: Record<string, Value>) => call(names.map((field) => given[field]!))]
  })
  return Object.fromEntries(bound) as Operations<Fields, Value>
}
