import { isNestedTooDeep } from '@tunesmith/core'

/** UTF-16 without lone surrogates, which no tokenizer has a token for: each becomes U+FFFD. */
export function wellFormed(text: string): string {
  const string = text as unknown as { isWellFormed(): boolean; toWellFormed(): string }
  return string.isWellFormed() ? text : string.toWellFormed()
}

/** UTF-16 units of all texts in a value: a text, a row, a list of messages. */
export function unitsOf(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 0
  let units = 0
  for (const key in value) units += unitsOf((value as Record<string, unknown>)[key])
  return units
}

/** Calls `one` for each item; an error gets the item's index as its property `row`. */
export function forEachRow<Item>(items: readonly Item[], one: (item: Item) => void): void {
  for (const [row, item] of items.entries())
    try {
      one(item)
    } catch (error) {
      throw Object.assign(error as Error, { row })
    }
}

/** `[start, end)` of consecutive items that together have about `units` UTF-16 units. */
export function* chunksOf<Item>(
  items: readonly Item[],
  units: number,
  textsOf: (item: Item) => unknown = (item) => item,
): Generator<[number, number]> {
  let start = 0
  let size = 0
  for (const [i, item] of items.entries()) {
    const texts = textsOf(item)
    // It is refused where its row is known.
    size += isNestedTooDeep(texts) ? 0 : unitsOf(texts)
    if (size < units && i + 1 < items.length) continue
    yield [start, i + 1]
    start = i + 1
    size = 0
  }
}
