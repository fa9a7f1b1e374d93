import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { followingDepth } from '@tunesmith/core'

/** What JSON cannot tell apart, in words of its own. (v8.serialize would write equal numbers in different ways.) */
function tagged(this: unknown, key: string, value: unknown): unknown {
  const raw = (this as Record<string, unknown>)[key]
  if (raw instanceof Date) return { $date: raw.getTime() }
  if (typeof value === 'bigint') return { $bigint: String(value) }
  if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)))
    return { $number: Object.is(value, -0) ? '-0' : String(value) }
  if (value === undefined) return { $undefined: true }
  if (typeof value === 'function') return { $function: String(value) }
  if (value instanceof Map || value instanceof Set) return { [`$${value.constructor.name}`]: [...value] }
  if (ArrayBuffer.isView(value))
    return {
      [`$${value.constructor.name}`]: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'),
    }
  if (value instanceof URL) return { $module: value.protocol === 'file:' ? moduleText(value) : value.href }
  return value
}

function moduleText(url: URL): string {
  try {
    return readFileSync(fileURLToPath(url), 'utf8')
  } catch {
    return url.href // it will fail where it is imported, with a better message
  }
}

/** A short name for exactly these parts, in this order: SHA-256 over their content, 32 hex digits. @throws {TunesmithError} `invalid_data` for a value too deep. */
export function fingerprintOf(...parts: unknown[]): string {
  const hash = createHash('sha256')
  const add = (value: unknown) => {
    // URL has a toJSON of its own, which runs before any replacer.
    const given = value instanceof URL ? tagged.call({ v: value }, 'v', value) : value
    const text = followingDepth(value, () => JSON.stringify({ v: given }, tagged))
    hash.update(`${text.length}:`).update(text)
  }
  for (const part of parts) {
    // Item by item, so that a whole data set never becomes one string.
    if (Array.isArray(part)) {
      hash.update(`[${part.length}`)
      for (const item of part) add(item)
    } else add(part)
  }
  return hash.digest('hex').slice(0, 32)
}
