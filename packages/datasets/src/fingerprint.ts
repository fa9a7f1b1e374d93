import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { serialize } from 'node:v8'

/** What stands for a part: a function's source, a module's text, or the value itself. */
function contentOf(part: unknown): unknown {
  if (typeof part === 'function') return String(part)
  if (part instanceof URL) return part.protocol === 'file:' ? readFileSync(fileURLToPath(part), 'utf8') : part.href
  return part
}

/** A short name for exactly these parts, in this order: SHA-256 over their serialized form, 32 hex digits. */
export function fingerprintOf(...parts: unknown[]): string {
  const hash = createHash('sha256')
  for (const part of parts) {
    const bytes = serialize(contentOf(part))
    hash.update(`${bytes.length}:`).update(bytes)
  }
  return hash.digest('hex').slice(0, 32)
}
