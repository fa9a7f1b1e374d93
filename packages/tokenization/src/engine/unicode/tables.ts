/** Runs of code points as the data files hold them: `[first, last, value]`, without those whose value is 0. */
export function runsOf(table: string): [number, number, number][] {
  const out: [number, number, number][] = []
  const words = table.split(' ')
  for (let i = 0, at = 0; i < words.length; i += 2) {
    const length = Number.parseInt(words[i]!, 36)
    const value = Number.parseInt(words[i + 1]!, 36)
    if (value !== 0) out.push([at, at + length - 1, value])
    at += length
  }
  return out
}

/** A table as an array that is made when first asked for and has a value for each code point. */
export function lazyTable<T extends Uint8Array | Uint16Array | Int32Array>(
  table: string,
  make: (length: number) => T,
): () => T {
  let values: T | undefined
  return () => {
    if (values === undefined) {
      values = make(0x110000)
      for (const [first, last, value] of runsOf(table)) values.fill(value, first, last + 1)
    }
    return values
  }
}

/** A function that is evaluated once. */
export function once<T>(make: () => T): () => T {
  let value: { value: T } | undefined
  return () => {
    value ??= { value: make() }
    return value.value
  }
}
