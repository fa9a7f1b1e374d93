import { followingDepth, TunesmithError, type TunesmithErrorCode } from '@tunesmith/core'
import type { Row } from './rows'

/** What a value is, in the words of JSON. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'an array' : typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

export function isObject(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @throws {TunesmithError} `code` for the first of `columns` that is not among `known`. */
export function needColumns(
  columns: Iterable<string>,
  known: readonly string[],
  code: TunesmithErrorCode,
  where?: string,
): void {
  for (const column of columns)
    if (!known.includes(column))
      throw new TunesmithError(`There is no column "${column}"`, {
        code,
        where,
        remedy: `The columns are: ${known.join(', ')}`,
      })
}

/** Equal for values of equal content: lists and objects are told apart by what they hold. */
export const contentKey = (value: unknown): unknown =>
  typeof value === 'object' && value !== null
    ? followingDepth(value, () =>
        JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? { $bigint: String(item) } : item)),
      )
    : value

/** The indices of the items of each key, keys in the order they first occur. */
export function groupIndices<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, number[]> {
  const groups = new Map<Key, number[]>()
  items.forEach((item, index) => {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group) group.push(index)
    else groups.set(key, [index])
  })
  return groups
}
