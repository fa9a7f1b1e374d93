import { parseOptions, Random } from '@tunesmith/core'
import { z } from 'zod'
import { Dataset } from '../dataset/dataset'
import { type InterleaveOptions, interleaveSchema, sourceChooser } from '../dataset/interleave'
import { collectRows, type Row, type RowChunk } from '../rows'
import type { SkipReport } from '../skipped'
import { applyToChunks } from '../transform/apply'
import {
  type AnyFunction,
  type BatchFunction,
  type RowFunction,
  type TransformOptions,
  transformOptionsSchema,
} from '../transform/options'
import { writeJson, writeJsonl } from '../write/text'
import { interleaveChunks, shuffleChunks, skipRows, takeRows } from './steps'

const shuffleSchema = z.strictObject({
  seed: z.int(),
  /** Rows held in memory; each row comes out at random among this many. Default 10,000. */
  bufferSize: z.int().positive().default(10_000),
})

export interface StreamInfo {
  skipped?: SkipReport | undefined
}

/**
 * Rows that are read while they are used. Every step is lazy and holds a buffer at most; iterating again starts over
 * from the source, with the same rows in the same order.
 */
export class DataStream<R = Row> implements AsyncIterable<R> {
  readonly #open: () => AsyncIterable<RowChunk<R>>
  /** What has been left out so far; grows while the stream is read. */
  readonly skipped: SkipReport

  /** @param open starts reading from the beginning, each time it is called. */
  constructor(open: () => AsyncIterable<RowChunk<R>>, { skipped }: StreamInfo = {}) {
    this.#open = open
    this.skipped = skipped ?? { count: 0, log: [] }
  }

  /** @param generate starts making rows from the beginning, each time it is called. */
  static fromGenerator<R>(generate: () => Iterable<R> | AsyncIterable<R>): DataStream<R> {
    return new DataStream(async function* () {
      let rows: R[] = []
      for await (const row of generate()) {
        rows.push(row)
        if (rows.length < 256) continue
        yield { rows }
        rows = []
      }
      if (rows.length > 0) yield { rows }
    })
  }

  static concatenate<R>(streams: readonly DataStream<R>[]): DataStream<R> {
    return new DataStream(async function* () {
      for (const stream of streams) yield* stream.chunks()
    })
  }

  /** Rows of several streams in turn, or drawn with the given probabilities. */
  static interleave<R>(streams: readonly DataStream<R>[], options: InterleaveOptions = {}): DataStream<R> {
    const parsed = parseOptions(interleaveSchema, options, 'interleave')
    sourceChooser(streams.length, parsed) // checks the probabilities now rather than while reading
    return new DataStream(() => interleaveChunks(streams, parsed))
  }

  /** The rows some at a time, with their places; how many at a time is up to the source. */
  chunks(): AsyncIterable<RowChunk<R>> {
    return this.#open()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<R> {
    for await (const { rows } of this.chunks()) yield* rows
  }

  #then<S>(step: (chunks: AsyncIterable<RowChunk<R>>) => AsyncIterable<RowChunk<S>>): DataStream<S> {
    return new DataStream(() => step(this.#open()), { skipped: this.skipped })
  }

  /** As `Dataset.map`, while reading. */
  map<S, Context = undefined>(fn: RowFunction<R, S, Context>, options?: TransformOptions<Context>): DataStream<S>
  map<S, Context = undefined>(fn: BatchFunction<R, S, Context>, options: TransformOptions<Context, true>): DataStream<S>
  map<S>(fn: AnyFunction<R, S>, options: object = {}): DataStream<S> {
    const parsed = parseOptions(transformOptionsSchema, options, 'map')
    return this.#then((chunks) => applyToChunks<R, S>(chunks, fn, parsed))
  }

  /** As `Dataset.filter`, while reading. */
  filter<Context = undefined>(
    fn: RowFunction<R, boolean, Context>,
    options: TransformOptions<Context> = {},
  ): DataStream<R> {
    const parsed = parseOptions(transformOptionsSchema, options, 'filter')
    return this.#then(async function* (chunks) {
      const sources: RowChunk<R>[] = []
      const noted = (async function* () {
        // Chunks may be cut to another size on the way, so verdicts are matched to rows in order, not by chunk.
        for await (const chunk of chunks) {
          sources.push(chunk)
          yield chunk
        }
      })()
      let source: RowChunk<R> = { rows: [] }
      let at = 0
      for await (const { rows: verdicts } of applyToChunks<R, boolean>(noted, fn, parsed)) {
        const kept: R[] = []
        const places: RowChunk<R>['where'][] = []
        const indices: number[] = []
        for (const verdict of verdicts) {
          while (at === source.rows.length) [source, at] = [sources.shift()!, 0]
          if (verdict) {
            kept.push(source.rows[at]!)
            places.push(source.where)
            indices.push(at)
          }
          at++
        }
        yield { rows: kept, where: (index) => places[index]?.(indices[index]!) }
      }
    })
  }

  /** The first `count` rows; the source is not read further than needed. */
  take(count: number): DataStream<R> {
    return this.#then((chunks) => takeRows(chunks, count))
  }

  /** All but the first `count` rows. */
  skip(count: number): DataStream<R> {
    return this.#then((chunks) => skipRows(chunks, count))
  }

  /** Shuffles within a buffer: the larger it is, the nearer to a true shuffle. Same seed, same order. */
  shuffle(options: z.input<typeof shuffleSchema>): DataStream<R> {
    const { seed, bufferSize } = parseOptions(shuffleSchema, options, 'shuffle')
    return this.#then((chunks) => shuffleChunks(chunks, bufferSize, new Random(seed, 'shuffle stream')))
  }

  /** Lists of `size` rows, the last one perhaps shorter. */
  async *batches(size: number): AsyncGenerator<R[]> {
    let batch: R[] = []
    for await (const row of this) {
      batch.push(row)
      if (batch.length < size) continue
      yield batch
      batch = []
    }
    if (batch.length > 0) yield batch
  }

  /** Reads everything into memory. */
  async collect(): Promise<Dataset<R>> {
    const rows = await collectRows(this.chunks())
    return new Dataset(rows, { skipped: this.skipped })
  }

  /** Writes an array of rows, one on each line, without holding them. */
  toJSON(path: string): Promise<void> {
    return writeJson(path, this)
  }
  /** Writes a row a line, without holding them. */
  toJSONL(path: string): Promise<void> {
    return writeJsonl(path, this)
  }
}
