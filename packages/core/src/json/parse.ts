import { invalidFile } from '../errors'
import { parseExactJson } from './exact'

/**
 * Parses the JSON text of a file, as Python's `json` reads it ({@link parseExactJson}), with integers as numbers.
 *
 * @throws {TunesmithError} `invalid_file` with the line and column of the fault.
 */
export function parseJson<Value = unknown>(text: string, file: string): Value {
  try {
    return parseExactJson(text, { bigints: false }) as Value
  } catch (error) {
    const { message, position } = error as SyntaxError & { position: number }
    const before = text.slice(0, position).split('\n')
    const empty = text.trim() === ''
    throw invalidFile(empty ? 'The file is empty' : `Not valid JSON: ${message}`, {
      where: empty ? file : `${file}:${before.length}:${before.at(-1)!.length + 1}`,
      remedy: 'Download or save the file again, or mend it in an editor',
      cause: error,
    })
  }
}

/** {@link parseJson} for a file that must hold an object. */
export function parseJsonObject(text: string, file: string): Record<string, unknown> {
  const value = parseJson(text, file)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw invalidFile('Expected a JSON object', { where: file })
}
