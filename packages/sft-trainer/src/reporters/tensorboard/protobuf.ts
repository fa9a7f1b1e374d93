/** A message, written field by field. */
export type Message = Uint8Array

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  bytes.push(rest)
  return bytes
}

const key = (field: number, wireType: number) => varint(field * 8 + wireType)

/** int64 and enum fields; not negative. */
export const integer = (field: number, value: number): Message => Uint8Array.from([...key(field, 0), ...varint(value)])

export function double(field: number, value: number): Message {
  const bytes = Uint8Array.from([...key(field, 1), 0, 0, 0, 0, 0, 0, 0, 0])
  new DataView(bytes.buffer).setFloat64(bytes.length - 8, value, true)
  return bytes
}

export function float(field: number, value: number): Message {
  const bytes = Uint8Array.from([...key(field, 5), 0, 0, 0, 0])
  new DataView(bytes.buffer).setFloat32(bytes.length - 4, value, true)
  return bytes
}

export const bytes = (field: number, value: Uint8Array): Message =>
  concat([Uint8Array.from([...key(field, 2), ...varint(value.length)]), value])

export const text = (field: number, value: string): Message => bytes(field, new TextEncoder().encode(value))

export const message = (field: number, ...fields: Message[]): Message => bytes(field, concat(fields))

export function concat(parts: readonly Message[]): Message {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let offset = 0
  for (const part of parts) {
    all.set(part, offset)
    offset += part.length
  }
  return all
}
