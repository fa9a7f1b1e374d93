/** One example as it came from a file: column name to value. Missing values are `null`. */
export type Row = Record<string, unknown>

/** Rows with random access, and the place each one came from. Every {@link Dataset} is a view of one of these. */
export interface Rows<R> {
  readonly length: number
  get(index: number): R
  /** `file:line`, `file, row group 2, row 13` or the like; undefined for rows made in memory. */
  where(index: number): string | undefined
  /** Of chosen rows: a choice among them is made in `base`, so that access stays one hop away however long the chain of calls. */
  view?: { base: Rows<R>; indices: ArrayLike<number> }
}

/** What readers and streams pass along: some rows at a time, so that the cost of a promise is paid once for many. */
export interface RowChunk<R = Row> {
  rows: R[]
  where?: (index: number) => string | undefined
}

export function arrayRows<R>(rows: readonly R[], where: Rows<R>['where'] = () => undefined): Rows<R> {
  return { length: rows.length, get: (index) => rows[index]!, where }
}

/** The chosen rows of `base`, in the chosen order, without copying any. */
export function selectedRows<R>(base: Rows<R>, indices: ArrayLike<number>): Rows<R> {
  if (base.view) {
    const { view } = base
    return selectedRows(
      view.base,
      Uint32Array.from({ length: indices.length }, (_, i) => view.indices[indices[i]!]!),
    )
  }
  return {
    length: indices.length,
    get: (index) => base.get(indices[index]!),
    where: (index) => base.where(indices[index]!),
    view: { base, indices },
  }
}

/** Each row of `base` seen through a cheap function (columns renamed, removed, cast), applied on every access. */
export function projectedRows<From, To>(base: Rows<From>, project: (row: From, index: number) => To): Rows<To> {
  return { length: base.length, get: (index) => project(base.get(index), index), where: (index) => base.where(index) }
}

/** The last of the ascending `starts` that is not above `index`. */
function partOf(starts: readonly number[], index: number): number {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (starts[middle]! <= index) low = middle
    else high = middle - 1
  }
  return low
}

export function concatenatedRows<R>(parts: readonly Rows<R>[]): Rows<R> {
  let length = 0
  const starts = parts.map((part) => {
    length += part.length
    return length - part.length
  })
  const inPart = <Value>(index: number, read: (part: Rows<R>, index: number) => Value): Value => {
    const part = partOf(starts, index)
    return read(parts[part]!, index - starts[part]!)
  }
  const get = (part: Rows<R>, index: number) => part.get(index)
  const where = (part: Rows<R>, index: number) => part.where(index)
  return { length, get: (index) => inPart(index, get), where: (index) => inPart(index, where) }
}

/** Gathers chunks into rows in memory, keeping each chunk's places. */
export async function collectRows<R>(chunks: AsyncIterable<RowChunk<R>>): Promise<Rows<R>> {
  const rows: R[] = []
  const starts: number[] = []
  const places: RowChunk<R>['where'][] = []
  for await (const chunk of chunks) {
    if (chunk.rows.length === 0) continue
    starts.push(rows.length)
    places.push(chunk.where)
    for (const row of chunk.rows) rows.push(row)
  }
  return arrayRows(rows, (index) => {
    const part = partOf(starts, index)
    return places[part]?.(index - starts[part]!)
  })
}
