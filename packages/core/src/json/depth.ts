import { invalidData } from '../errors'

/** The deepest nesting of lists and objects that is read; Python's `json` ends near it too. */
export const MAX_DEPTH = 1000

/** Whether lists and objects lie more than {@link MAX_DEPTH} deep within each other, as they do in a value that holds itself. */
export function isNestedTooDeep(value: unknown): boolean {
  return reaches(value, MAX_DEPTH)
}

function reaches(value: unknown, left: number): boolean {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false
  if (left === 0) return true
  if (Array.isArray(value)) return value.some((item) => reaches(item, left - 1))
  for (const key in value) if (reaches((value as Record<string, unknown>)[key], left - 1)) return true
  return false
}

/** @throws {TunesmithError} `invalid_data` for a value that {@link isNestedTooDeep}. */
export function refuseNestedTooDeep(value: unknown, where?: string, cause?: unknown): void {
  if (!isNestedTooDeep(value)) return
  throw invalidData(`A value is nested deeper than ${MAX_DEPTH} levels, or holds itself`, {
    ...(where !== undefined && { where }),
    remedy: 'Store what is so deep as text, or leave it out',
    cause,
  })
}

/** The result of a function that follows a value into its depth, where the engine's own limit is an error without a place. */
export function followingDepth<Result>(value: unknown, follow: () => Result): Result {
  try {
    return follow()
  } catch (error) {
    refuseNestedTooDeep(value, undefined, error)
    throw error
  }
}
