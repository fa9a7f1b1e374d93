import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { escapeHtml } from '@tunesmith/core'
import type { Hono } from 'hono'
import { notFoundError } from './errors'

/** What stands under the message field unless the application says something else. */
export const DEFAULT_NOTICE = 'Answers are written by a machine and can be wrong.'

export interface PageOptions {
  /** Of the browser's tab. */
  title: string
  notice: string
}

const TYPES = {
  'index.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
  'licenses.txt': 'text/plain; charset=utf-8',
}
type Name = keyof typeof TYPES

/**
 * Nothing from elsewhere, nothing inline, no text that becomes markup or code: whatever a model writes, the browser has no way to run it.
 * Other pages cannot frame this one.
 */
const HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  // A page of another version, or of another server on the same port, is never shown from the cache.
  'cache-control': 'no-cache',
}

/** Bytes of a file that the build has left beside the library; undefined in sources that were not built. */
function built(name: Name): Buffer | undefined {
  try {
    return readFileSync(new URL(`../dist/page/${name}`, import.meta.url))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function fileOf(name: Name, fill: (text: string) => string) {
  const bytes = built(name)
  if (!bytes) return undefined
  const plain = name === 'index.html' ? Buffer.from(fill(bytes.toString())) : bytes
  const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`
  return { plain, packed: gzipSync(plain, { level: 9 }), etag, type: TYPES[name] }
}

/** Serves the chat page at `/` and its files beside it. They hold no secret, so they need no key. */
export function addPage(app: Hono, { title, notice }: PageOptions): void {
  const fill = (text: string) =>
    text.replace(/\{\{(\w+)\}\}/g, (_, name: keyof PageOptions) => escapeHtml({ title, notice }[name]))
  for (const name of Object.keys(TYPES) as Name[]) {
    const file = fileOf(name, fill)
    app.get(name === 'index.html' ? '/' : `/${name}`, ({ req, body }) => {
      if (!file) throw notFoundError('The chat page is not built: run the build of @tunesmith/serve', 'page_not_built')
      const { plain, packed, etag, type } = file
      const headers = { ...HEADERS, 'content-type': type, etag, vary: 'accept-encoding' }
      if (req.header('if-none-match') === etag) return body(null, 304, headers)
      const packs = /\bgzip\b/.test(req.header('accept-encoding') ?? '')
      return packs
        ? body(new Uint8Array(packed), 200, { ...headers, 'content-encoding': 'gzip' })
        : body(new Uint8Array(plain), 200, headers)
    })
  }
}
