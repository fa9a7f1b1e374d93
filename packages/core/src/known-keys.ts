import { unsupported } from './errors'

/** A key that would change results, so that no file may set it to another than a neutral value. */
export interface RefusedKey {
  /** What it would do, as the end of a sentence. */
  means: string
  /** Values that change nothing, beside null, false and what is empty. */
  neutral?: readonly unknown[]
}

/** What is known about the keys of a kind of JSON file beside those that are read. */
export interface KnownKeys {
  /** Keys that change nothing here, by the reason why not. */
  harmless?: Readonly<Record<string, readonly string[]>>
  refused?: Readonly<Record<string, RefusedKey>>
}

export interface KeyCheck {
  values: Readonly<Record<string, unknown>>
  /** The keys that are read, and checked by that. */
  used: Iterable<string>
  /** What is known of the others; several tables are taken together. */
  known: readonly KnownKeys[]
  /** The file, and within it the place. */
  where: string
  /** What to do about a key that is refused. */
  remedy: string
  /** Gets one line that names all keys nobody knows. */
  warn: (line: string) => void
}

const isEmpty = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === false ||
  value === '' ||
  (typeof value === 'object' && Object.keys(value).length === 0)

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

const refusalOf = (key: string, known: readonly KnownKeys[]): RefusedKey | undefined =>
  known.map(({ refused = {} }) => (Object.hasOwn(refused, key) ? refused[key] : undefined)).find(Boolean)

/** The keys of `known` that are set to something that would change results. */
export function refusedKeys(values: Readonly<Record<string, unknown>>, known: readonly KnownKeys[]): string[] {
  return Object.keys(values).filter((key) => {
    const refusal = isEmpty(values[key]) ? undefined : refusalOf(key, known)
    const text = JSON.stringify(values[key])
    return refusal && !refusal.neutral?.some((value) => JSON.stringify(value) === text)
  })
}

/**
 * Sees to it that no key of a JSON file goes unread in silence: each is read, known to be harmless, or reported. Keys that nobody knows are
 * named in one warning, unless they are null, false or empty.
 *
 * @throws {TunesmithError} `unsupported` naming each key that would change results, with its value.
 */
export function checkKeys({ values, used, known, where, remedy, warn }: KeyCheck): void {
  const refused = refusedKeys(values, known)
  if (refused.length > 0) {
    const list = refused.map((key) => `"${key}" is ${shown(values[key])}: ${refusalOf(key, known)!.means}`).join('; ')
    throw unsupported(`Not supported: ${list}`, { where, remedy })
  }
  const harmless = known.flatMap((table) => Object.values(table.harmless ?? {}).flat())
  const listed = new Set([...used, ...harmless, ...known.flatMap((table) => Object.keys(table.refused ?? {}))])
  const unknown = Object.keys(values).filter((key) => !listed.has(key) && !isEmpty(values[key]))
  if (unknown.length === 0) return
  const names = unknown.slice(0, 20).map((key) => `"${key.slice(0, 60)}"`)
  const more = unknown.length > names.length ? ` and ${unknown.length - names.length} more` : ''
  const [keys, are] = unknown.length === 1 ? ['key', 'is'] : ['keys', 'are']
  warn(
    `${where}: the ${keys} ${names.join(', ')}${more} ${are} not known and ${are === 'is' ? 'was' : 'were'} not used`,
  )
}
