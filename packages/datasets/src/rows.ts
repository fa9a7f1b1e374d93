/** One example as it came from a file: column name to value. Missing values are `null`. */
export type Row = Record<string, unknown>

/** Rows with random access, and the place each one came from. Every {@link Dataset} is a view of one of these. */
export interface Rows<R> {
  readonly length: number
  get(index: number): R
  /** `file:line`, `file, row group 2, row 13` or the like; undefined for rows made in memory. */
  where(index: number): string | undefined
}

/** What readers and streams pass along: some rows at a time, so that the cost of a promise is paid once for many. */
export interface RowChunk<R = Row> {
  rows: R[]
  where?: (index: number) => string | undefined
}

export class ArrayRows<R> implements Rows<R> {
  readonly length: number

  constructor(
    readonly rows: readonly R[],
    readonly origin?: (index: number) => string | undefined,
  ) {
    this.length = rows.length
  }
  get(index: number): R {
    return this.rows[index]!
  }
  where(index: number): string | undefined {
    return this.origin?.(index)
  }
}

/** The chosen rows of `base`, in the chosen order, without copying any. */
export class SelectedRows<R> implements Rows<R> {
  readonly base: Rows<R>
  readonly indices: ArrayLike<number>
  readonly length: number

  constructor(base: Rows<R>, indices: ArrayLike<number>) {
    // A view of a view is flattened, so that access stays one hop away however long the chain of calls.
    if (base instanceof SelectedRows) {
      const inner: ArrayLike<number> = base.indices
      this.base = base.base
      this.indices = Uint32Array.from({ length: indices.length }, (_, i) => inner[indices[i]!]!)
    } else {
      this.base = base
      this.indices = indices
    }
    this.length = indices.length
  }
  get(index: number): R {
    return this.base.get(this.indices[index]!)
  }
  where(index: number): string | undefined {
    return this.base.where(this.indices[index]!)
  }
}

/** Each row of `base` seen through a cheap function (columns renamed, removed, cast), applied on every access. */
export class ProjectedRows<From, To> implements Rows<To> {
  readonly length: number

  constructor(
    readonly base: Rows<From>,
    readonly project: (row: From, index: number) => To,
  ) {
    this.length = base.length
  }
  get(index: number): To {
    return this.project(this.base.get(index), index)
  }
  where(index: number): string | undefined {
    return this.base.where(index)
  }
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

export class ConcatenatedRows<R> implements Rows<R> {
  readonly length: number
  readonly #starts: number[] = []

  constructor(readonly parts: readonly Rows<R>[]) {
    let length = 0
    for (const part of parts) {
      this.#starts.push(length)
      length += part.length
    }
    this.length = length
  }
  get(index: number): R {
    const part = partOf(this.#starts, index)
    return this.parts[part]!.get(index - this.#starts[part]!)
  }
  where(index: number): string | undefined {
    const part = partOf(this.#starts, index)
    return this.parts[part]!.where(index - this.#starts[part]!)
  }
}

/** Gathers chunks into rows in memory, keeping each chunk's places. */
export async function collectRows<R>(chunks: AsyncIterable<RowChunk<R>>): Promise<ArrayRows<R>> {
  const rows: R[] = []
  const starts: number[] = []
  const places: RowChunk<R>['where'][] = []
  for await (const chunk of chunks) {
    if (chunk.rows.length === 0) continue
    starts.push(rows.length)
    places.push(chunk.where)
    for (const row of chunk.rows) rows.push(row)
  }
  return new ArrayRows(rows, (index) => {
    const part = partOf(starts, index)
    return places[part]?.(index - starts[part]!)
  })
}
