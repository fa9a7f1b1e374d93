import { invalidFile } from './errors'

/**
 * Parses the JSON text of a file.
 *
 * @throws {TunesmithError} `invalid_file` with the line and column of the fault.
 */
export function parseJson<Value = unknown>(text: string, file: string): Value {
  try {
    return JSON.parse(text) as Value
  } catch (error) {
    const empty = text.trim() === ''
    throw invalidFile(empty ? 'The file is empty' : `Not valid JSON: ${(error as Error).message}`, {
      where: `${file}${place(text, (error as Error).message)}`,
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

/** `:line:column` from the position in V8's message, when it gives one. */
function place(text: string, message: string): string {
  const position = /position (\d+)/.exec(message)?.[1]
  if (position === undefined) return ''
  const before = text.slice(0, Number(position)).split('\n')
  return `:${before.length}:${before.at(-1)!.length + 1}`
}
