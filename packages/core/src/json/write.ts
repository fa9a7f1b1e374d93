import { refuseNestedTooDeep } from './depth'
import { jsonKeys, jsonNumberText } from './source'

/**
 * Writes a value as JSON, with the digits of bigints and with the numbers and key order of the text it was read from
 * ({@link parseExactJson}). Otherwise as `JSON.stringify(value, null, indent)`; typed arrays are lists, and NaN and Infinity, which it turns into null, are
 * written by name, as Python does.
 *
 * @throws {TypeError} when a value holds itself; {TunesmithError} `invalid_data` when it is too deep.
 */
export function stringifyJson(value: unknown, indent = 0): string {
  const open: object[] = []
  const line = (depth: number) => (indent > 0 ? `\n${' '.repeat(indent * depth)}` : '')
  const list = (parts: string[], [start, end]: string) =>
    parts.length === 0
      ? `${start}${end}`
      : `${start}${line(open.length)}${parts.join(`,${line(open.length)}`)}${line(open.length - 1)}${end}`
  const write = (item: unknown, text?: string): string | undefined => {
    if (text !== undefined) return text
    if (typeof item === 'bigint') return String(item)
    if (typeof item === 'number') return Object.is(item, -0) ? '-0.0' : String(item)
    if (typeof item !== 'object' || item === null) return JSON.stringify(item)
    if ('toJSON' in item && typeof item.toJSON === 'function') return write(item.toJSON())
    if (open.includes(item)) throw new TypeError('A value that holds itself cannot be written as JSON')
    open.push(item)
    const separator = indent > 0 ? ': ' : ':'
    const elements = ArrayBuffer.isView(item) && !(item instanceof DataView) ? Array.from(item as never) : item
    const written = Array.isArray(elements)
      ? list(
          elements.map((element, i) => write(element, jsonNumberText(item, i)) ?? 'null'),
          '[]',
        )
      : list(
          jsonKeys(item).flatMap((key) => {
            const part = write((item as Record<string, unknown>)[key], jsonNumberText(item, key))
            return part === undefined ? [] : [`${JSON.stringify(key)}${separator}${part}`]
          }),
          '{}',
        )
    open.pop()
    return written
  }
  try {
    return write(value) ?? 'null'
  } catch (error) {
    if (error instanceof RangeError) refuseNestedTooDeep(value, undefined, error)
    throw error
  }
}
