import { collectJsonSources, invalidOptions, parseOptions, Random, refuseNestedTooDeep } from '@tunesmith/core'
import { z } from 'zod'
import { fingerprintOf } from '../fingerprint'
import { arrayRows, concatenatedRows, projectedRows, type Row, type Rows, selectedRows } from '../rows'
import type { SkipReport } from '../skipped'
import type { BatchFunction, CachedTransformOptions, RowFunction } from '../transform/options'
import { contentKey, groupIndices, needColumns } from '../values'
import { type WriteParquetOptions, writeParquet } from '../write/parquet'
import { type WriteCsvOptions, writeCsv, writeJson, writeJsonl } from '../write/text'
import { type CastType, castRow, dropColumns, keepColumns, renameColumns } from './columns'
import { type InterleaveOptions, interleaveOrder } from './interleave'
import { filterRows, mapRows } from './map'
import { type SortOptions, sortOrder } from './order'
import { type SplitOptions, splitIndices } from './split'

export interface DatasetInfo {
  /** Names the content: two data sets with the same fingerprint hold the same rows. Computed when asked for. */
  fingerprint?: (() => string) | undefined
  skipped?: SkipReport | undefined
}

const shardSchema = z.strictObject({ count: z.int().positive(), index: z.int().nonnegative() })

/**
 * Rows in memory, with random access. Methods never change a data set; they return another one, which shares the rows
 * wherever it can. Steps that run the user's functions (`map`, `filter`) are awaited, all others are done at once.
 */
export class Dataset<R = Row> implements Iterable<R> {
  readonly length: number
  /** What was left out when the rows were read; count 0 when nothing was. */
  readonly skipped: SkipReport
  readonly #rows: Rows<R>
  #fingerprint: string | (() => string)
  #columns: string[] | undefined

  /**
   * For readers of files; rows in memory are given to {@link Dataset.fromRows}.
   *
   * @throws {TunesmithError} `invalid_options` for anything that has no rows by number.
   */
  constructor(rows: Rows<R>, { fingerprint, skipped }: DatasetInfo = {}) {
    if (typeof (rows as Partial<Rows<R>> | undefined)?.get !== 'function')
      throw invalidOptions('The constructor takes a reader of rows, and this is none', {
        where: 'Dataset',
        remedy: 'For rows in an array call `Dataset.fromRows(rows)`, for a file `await loadDataset(path)`',
      })
    this.#rows = rows
    this.length = rows.length
    this.skipped = skipped ?? { count: 0, log: [] }
    this.#fingerprint =
      fingerprint ?? (() => fingerprintOf('rows', this.toArray(), collectJsonSources(this.toArray()) ?? []))
  }

  /**
   * A data set of rows made in memory. The list is not copied: leave it as it is from then on.
   *
   * @throws {TunesmithError} `invalid_data` naming a row whose values are nested too deep, or hold themselves.
   */
  static fromRows<R>(rows: readonly R[]): Dataset<R> {
    for (const [index, row] of rows.entries()) refuseNestedTooDeep(row, `row ${index}`)
    return new Dataset(arrayRows(rows))
  }

  /** One after the other, first all rows of the first data set. */
  static concatenate<R>(datasets: readonly Dataset<R>[]): Dataset<R> {
    return new Dataset(concatenatedRows(datasets.map((dataset) => dataset.#rows)), {
      fingerprint: () => fingerprintOf('concatenate', ...datasets.map((dataset) => dataset.fingerprint)),
    })
  }

  /** Rows of several data sets in turn, or drawn with the given probabilities. */
  static interleave<R>(datasets: readonly Dataset<R>[], options: InterleaveOptions = {}): Dataset<R> {
    const order = interleaveOrder(
      datasets.map((dataset) => dataset.length),
      options,
    )
    return Dataset.concatenate(datasets).#view(order, 'interleave', options)
  }

  /** Names the content; equal for equal sources and steps, on every machine that has the same files. */
  get fingerprint(): string {
    if (typeof this.#fingerprint === 'function') this.#fingerprint = this.#fingerprint()
    return this.#fingerprint
  }

  /** All column names, in the order they first occur. Looks at every row, once. */
  get columns(): string[] {
    if (!this.#columns) {
      const names = new Set<string>()
      for (const row of this) for (const name in row) names.add(name)
      this.#columns = [...names]
    }
    return [...this.#columns]
  }

  /**
   * The row at `index`; negative indices count from the end.
   *
   * @throws {TunesmithError} `invalid_options` outside the data set.
   */
  at(index: number): R {
    return this.#rows.get(this.#check(index))
  }

  /** Where the row came from: `file:line`, `file, row group 2, row 13`; undefined for rows made in memory. */
  where(index: number): string | undefined {
    return this.#rows.where(this.#check(index))
  }

  #check(index: number): number {
    const position = index < 0 ? index + this.length : index
    if (Number.isInteger(index) && position >= 0 && position < this.length) return position
    throw invalidOptions(`There is no row ${index}`, {
      remedy: `The data set has ${this.length} rows, numbered from 0`,
    })
  }

  *[Symbol.iterator](): Generator<R> {
    for (let i = 0; i < this.length; i++) yield this.#rows.get(i)
  }

  toArray(): R[] {
    return Array.from({ length: this.length }, (_, i) => this.#rows.get(i))
  }

  /** All values of one column, `null` where a row has none. */
  column<Name extends keyof R>(name: Name): R[Name][] {
    return Array.from({ length: this.length }, (_, i) => this.#rows.get(i)[name] ?? (null as R[Name]))
  }

  #view(indices: ArrayLike<number>, step: string, ...args: unknown[]): Dataset<R> {
    return new Dataset(selectedRows(this.#rows, indices), {
      fingerprint: () => fingerprintOf(step, this.fingerprint, ...args),
      skipped: this.skipped,
    })
  }

  /** The rows at these indices, in this order; an index may occur more than once. */
  select(indices: Iterable<number>): Dataset<R> {
    const chosen = Uint32Array.from(indices, (index) => this.#check(index))
    return this.#view(chosen, 'select', chosen)
  }

  /** The first `count` rows, or all when there are fewer. */
  take(count: number): Dataset<R> {
    return this.#range(0, count)
  }

  /** All but the first `count` rows. */
  skip(count: number): Dataset<R> {
    return this.#range(count, this.length)
  }

  #range(from: number, to: number): Dataset<R> {
    const start = Math.min(Math.max(0, Math.trunc(from)), this.length)
    const end = Math.min(Math.max(start, Math.trunc(to)), this.length)
    return this.#view(
      Uint32Array.from({ length: end - start }, (_, i) => start + i),
      'range',
      start,
      end,
    )
  }

  /** The rows in a random order that depends on nothing but `seed` and the number of rows. */
  shuffle(seed: number): Dataset<R> {
    const order = Uint32Array.from({ length: this.length }, (_, i) => i)
    return this.#view(new Random(seed, 'shuffle').shuffle(order), 'shuffle', seed)
  }

  /** Sorted by one column, or several; rows that compare equal keep their order. */
  sort(column: keyof R & string, options?: SortOptions): Dataset<R> {
    return this.#view(sortOrder(this.column(column), options), 'sort', column, options)
  }

  /** The different values of a column, in the order they first occur. Lists and objects are compared by content. */
  unique<Name extends keyof R>(column: Name): R[Name][] {
    const values = this.column(column)
    return Array.from(groupIndices(values, contentKey).values(), ([first]) => values[first!]!)
  }

  /** Every `count`-th row, from row `index` on: the part of one of `count` workers. */
  shard(options: z.input<typeof shardSchema>): Dataset<R> {
    const { count, index } = parseOptions(shardSchema, options, 'shard')
    if (index >= count)
      throw invalidOptions(`There are ${count} shards, numbered from 0; there is no shard ${index}`, { where: 'shard' })
    const rows = Math.ceil(Math.max(0, this.length - index) / count)
    return this.#view(
      Uint32Array.from({ length: rows }, (_, i) => index + i * count),
      'shard',
      count,
      index,
    )
  }

  #project<S>(project: (row: R, index: number) => S, step: string, ...args: unknown[]): Dataset<S> {
    return new Dataset(projectedRows(this.#rows, project), {
      fingerprint: () => fingerprintOf(step, this.fingerprint, ...args),
      skipped: this.skipped,
    })
  }

  #need(names: Iterable<string>) {
    needColumns(names, this.columns, 'invalid_options')
  }

  /** @param names old name to new name. */
  renameColumns(names: Record<string, string>): Dataset<Row> {
    this.#need(Object.keys(names))
    return this.#project(renameColumns(names, this.columns), 'rename', names)
  }

  removeColumns(names: readonly string[]): Dataset<Row> {
    this.#need(names)
    return this.#project(dropColumns(names), 'remove', names)
  }

  selectColumns(names: readonly string[]): Dataset<Row> {
    this.#need(names)
    return this.#project(keepColumns(names), 'columns', names)
  }

  /**
   * Changes the type of columns; null stays null. A value that cannot be cast is an error that names its row and column,
   * raised when the row is read.
   */
  cast(types: Record<string, CastType>): Dataset<Row> {
    this.#need(Object.keys(types))
    return this.#project(
      (row, index) => castRow(row as Row, types, () => this.where(index) ?? `row ${index}`),
      'cast',
      types,
    )
  }

  /**
   * Replaces each row by what `fn` returns for it; with `batched: true`, each batch of rows by any number of rows.
   * Nothing runs until the result is awaited or iterated.
   *
   * @throws {TunesmithError} `invalid_data` naming the row on which `fn` failed.
   */
  map<S, Context = undefined>(fn: RowFunction<R, S, Context>, options?: CachedTransformOptions<Context>): LazyDataset<S>
  map<S, Context = undefined>(
    fn: BatchFunction<R, S, Context>,
    options: CachedTransformOptions<Context, true>,
  ): LazyDataset<S>
  map<S>(fn: RowFunction<R, S, never> | BatchFunction<R, S, never>, options: object = {}): LazyDataset<S> {
    return new LazyDataset(async () => {
      const { rows, fingerprint } = await mapRows<R, S>(this.#rows, fn, options, () => this.fingerprint)
      return new Dataset(rows, { fingerprint, skipped: this.skipped })
    })
  }

  /** Keeps the rows for which `fn` returns true. Nothing runs until the result is awaited or iterated. */
  filter<Context = undefined>(
    fn: RowFunction<R, boolean, Context>,
    options: CachedTransformOptions<Context> = {},
  ): LazyDataset<R> {
    return new LazyDataset(async () => {
      const { indices, fingerprint } = await filterRows(this.#rows, fn, options, () => this.fingerprint)
      return new Dataset(selectedRows(this.#rows, indices), { fingerprint, skipped: this.skipped })
    })
  }

  /** Divides the rows in two, at random, keeping shares of classes (`stratifyBy`) or groups together (`groupBy`). */
  trainTestSplit(options: SplitOptions): { train: Dataset<R>; test: Dataset<R> } {
    const { train, test } = splitIndices(this.length, (name) => this.column(name as keyof R), options)
    return { train: this.#view(train, 'train', options), test: this.#view(test, 'test', options) }
  }

  /** Writes an array of rows, one on each line. */
  toJSON(path: string): Promise<void> {
    return writeJson(path, this)
  }
  /** Writes a row a line. */
  toJSONL(path: string): Promise<void> {
    return writeJsonl(path, this)
  }
  /** Writes RFC 4180 CSV, or TSV when the name ends in `.tsv`; null is an empty field, lists and objects are JSON. */
  toCSV(path: string, options?: WriteCsvOptions): Promise<void> {
    return writeCsv(path, this, this.columns, options)
  }
  /** Writes Parquet; lists and objects become Parquet lists and structs. */
  toParquet(path: string, options?: WriteParquetOptions): Promise<void> {
    return writeParquet(path, this, this.columns, options)
  }
}

/**
 * The result of a step that may take a while (`map`, `filter`): nothing runs until it is awaited or iterated, and then
 * once. Further steps can be chained before that: `await dataset.map(f).filter(g).shuffle(7)`.
 */
export class LazyDataset<R> implements PromiseLike<Dataset<R>>, AsyncIterable<R> {
  readonly #compute: () => Promise<Dataset<R>>
  #result: Promise<Dataset<R>> | undefined

  constructor(compute: () => Promise<Dataset<R>>) {
    this.#compute = compute
  }

  // biome-ignore lint/suspicious/noThenProperty: being awaited is what starts the work
  then<A = Dataset<R>, B = never>(
    resolve?: ((dataset: Dataset<R>) => A | PromiseLike<A>) | null,
    reject?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#result ??= this.#compute()
    return this.#result.then(resolve, reject)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<R> {
    yield* await this
  }

  /** Any other step, once the rows are there. */
  chain<S>(step: (dataset: Dataset<R>) => Dataset<S> | PromiseLike<Dataset<S>>): LazyDataset<S> {
    return new LazyDataset(async () => step(await this))
  }

  map: Dataset<R>['map'] = (...args: unknown[]) =>
    this.chain((dataset) => (dataset.map as (...args: unknown[]) => LazyDataset<never>)(...args))
  filter: Dataset<R>['filter'] = (...args) => this.chain((dataset) => dataset.filter(...args))

  select = (...args: Parameters<Dataset<R>['select']>) => this.chain((dataset) => dataset.select(...args))
  take = (...args: Parameters<Dataset<R>['take']>) => this.chain((dataset) => dataset.take(...args))
  skip = (...args: Parameters<Dataset<R>['skip']>) => this.chain((dataset) => dataset.skip(...args))
  shuffle = (...args: Parameters<Dataset<R>['shuffle']>) => this.chain((dataset) => dataset.shuffle(...args))
  sort = (...args: Parameters<Dataset<R>['sort']>) => this.chain((dataset) => dataset.sort(...args))
  shard = (...args: Parameters<Dataset<R>['shard']>) => this.chain((dataset) => dataset.shard(...args))
  renameColumns = (...args: Parameters<Dataset<R>['renameColumns']>) =>
    this.chain((dataset) => dataset.renameColumns(...args))
  removeColumns = (...args: Parameters<Dataset<R>['removeColumns']>) =>
    this.chain((dataset) => dataset.removeColumns(...args))
  selectColumns = (...args: Parameters<Dataset<R>['selectColumns']>) =>
    this.chain((dataset) => dataset.selectColumns(...args))
  cast = (...args: Parameters<Dataset<R>['cast']>) => this.chain((dataset) => dataset.cast(...args))
}
