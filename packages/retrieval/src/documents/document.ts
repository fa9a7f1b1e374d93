import { createHash } from 'node:crypto'
import { invalidData } from '@tunesmith/core'

export type FieldValue = string | number | boolean

/** What is indexed: a text under a name of its own. */
export interface Document {
  /** Names the document; another document of the same id replaces it. */
  id: string
  text: string
  /** Shown with passages: a file name, an address, a title. Default the id. */
  source?: string | undefined
  /** Values to filter by, and to show. */
  metadata?: Record<string, FieldValue | null | undefined> | undefined
}

/** @throws {TunesmithError} `invalid_data` for a document without an id, or whose text is no text. */
export function checkDocument(document: Document): void {
  const { id, text } = document ?? {}
  if (typeof id !== 'string' || id === '')
    throw invalidData('A document has no id', { where: 'documents', remedy: 'Give each an id of its own, as text' })
  if (typeof text !== 'string') throw invalidData('The document has no text', { where: `document ${id}` })
}

/** A text's name by its content. */
export const hashText = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 32)
