import type { z } from 'zod'
import { invalidOptions } from './errors'

/** Edit distance (Levenshtein) between two short names. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    row = next
  }
  return row[b.length]!
}

/** The candidate that `name` was probably meant to be, ignoring case and `_`/`-`; undefined when none is close. */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[_-]/g, '')
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of candidates) {
    const d = distance(plain(name), plain(candidate))
    if (d < bestDistance) [best, bestDistance] = [candidate, d]
  }
  return best
}

/** The keys an object schema knows at `path`, for suggestions; empty when the schema is not an object there. */
function keysAt(schema: unknown, path: readonly PropertyKey[]): string[] {
  let node = schema as {
    shape?: Record<string, unknown>
    unwrap?: () => unknown
    options?: unknown[]
  }
  const peel = () => {
    while (node && !node.shape && typeof node.unwrap === 'function') node = node.unwrap() as typeof node
  }
  peel()
  for (const key of path) {
    if (!node) return []
    // Peeling has already gone through an array to its element.
    if (typeof key !== 'number') node = node.shape?.[String(key)] as typeof node
    peel()
  }
  if (node?.options) return node.options.flatMap((option) => keysAt(option, []))
  return Object.keys(node?.shape ?? {})
}

/**
 * Checks `input` against a zod schema and returns the parsed value with its defaults filled in.
 *
 * @param where what is being checked, for the message: a function name or a config file.
 * @throws {TunesmithError} `invalid_options`, naming each offending key; an unknown key of a strict object
 *   comes with the nearest known name.
 */
export function parseOptions<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  where: string,
): z.output<Schema> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const lines: string[] = []
  for (const issue of result.error.issues) {
    const path = issue.path.map(String).join('.')
    if (issue.code === 'unrecognized_keys') {
      const known = keysAt(schema, issue.path)
      for (const key of issue.keys) {
        const nearest = nearestName(key, known)
        const hint = nearest ? `; did you mean "${nearest}"?` : known.length ? `; known keys: ${known.join(', ')}` : ''
        lines.push(`unknown key "${path ? `${path}.` : ''}${key}"${hint}`)
      }
    } else lines.push(`${path ? `"${path}": ` : ''}${issue.message}`)
  }
  throw invalidOptions(lines.join('; '), { where, cause: result.error })
}
