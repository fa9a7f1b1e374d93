import { isTunesmithError, mapInOrder, TunesmithError } from '@tunesmith/core'
import type { RowChunk } from '../rows'
import type { AnyFunction } from './options'
import { createRowThreads, type RowFailure } from './worker'

/** What `applyToChunks` needs of the parsed options. */
export interface ApplyOptions {
  batched: boolean
  batchSize: number
  workers: number
  context?: unknown
}

/** A row's place, or its number when it has none. */
export function placeOf<R>(chunk: RowChunk<R>, index: number, firstIndex: number): string {
  return chunk.where?.(index) ?? `row ${firstIndex + index}`
}

function failure(error: unknown, place: string): TunesmithError {
  if (isTunesmithError(error)) return error as TunesmithError
  return new TunesmithError(`The function given to map or filter failed: ${(error as Error)?.message ?? error}`, {
    code: 'invalid_data',
    where: place,
    cause: error,
  })
}

async function resolve<R, S>(fn: AnyFunction<R, S>): Promise<(...args: unknown[]) => unknown> {
  if (!(fn instanceof URL)) return fn as (...args: unknown[]) => unknown
  const module = (await import(fn.href)) as { default?: unknown }
  if (typeof module.default === 'function') return module.default as (...args: unknown[]) => unknown
  throw new TunesmithError('The module has no function as its default export', {
    code: 'invalid_options',
    where: fn.href,
  })
}

/** Cuts the rows into chunks of exactly `size` (but for the last), so that a batched function sees what it was promised. */
export async function* rechunk<R>(chunks: AsyncIterable<RowChunk<R>>, size: number): AsyncGenerator<RowChunk<R>> {
  let rows: R[] = []
  let places: { start: number; from: number; where: RowChunk<R>['where'] }[] = []
  const flush = (): RowChunk<R> => {
    const kept = places
    const chunk = {
      rows,
      where: (index: number) => {
        let i = kept.length - 1
        while (i > 0 && kept[i]!.start > index) i--
        const part = kept[i]!
        return part.where?.(index - part.start + part.from)
      },
    }
    rows = []
    places = []
    return chunk
  }
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.rows.length; ) {
      const count = Math.min(size - rows.length, chunk.rows.length - from)
      places.push({ start: rows.length, from, where: chunk.where })
      for (let i = from; i < from + count; i++) rows.push(chunk.rows[i]!)
      from += count
      if (rows.length === size) yield flush()
    }
  }
  if (rows.length > 0) yield flush()
}

/**
 * Runs a function over chunks of rows, here or in worker threads, and yields its results in the rows' order.
 * The place of each row is passed on wherever there is one result for each.
 *
 * @throws {TunesmithError} `invalid_data` naming the row for which the function failed.
 */
export async function* applyToChunks<R, S>(
  source: AsyncIterable<RowChunk<R>>,
  fn: AnyFunction<R, S>,
  { batched, batchSize, workers, context }: ApplyOptions,
  firstIndex = 0,
): AsyncGenerator<RowChunk<S>> {
  const chunks = batched || workers > 0 ? rechunk(source, batchSize) : source
  if (workers > 0) {
    const threads = createRowThreads<R, S>({ fn, batched, workers, context })
    let next = firstIndex
    try {
      yield* mapInOrder(chunks, 2 * workers, async (chunk): Promise<RowChunk<S>> => {
        const first = next
        next += chunk.rows.length
        const rows = await threads.run(chunk, first).catch((error: RowFailure) => {
          throw failure(error, placeOf(chunk, error.row ?? 0, first))
        })
        return { rows, where: rows.length === chunk.rows.length ? chunk.where : undefined }
      })
    } finally {
      await threads.close()
    }
    return
  }
  const call = await resolve(fn)
  let first = firstIndex
  for await (const chunk of chunks) {
    yield batched
      ? await applyBatch<R, S>(call, chunk, first, context)
      : await applyRows<R, S>(call, chunk, first, context)
    first += chunk.rows.length
  }
}

type Callable = (...args: unknown[]) => unknown

async function applyBatch<R, S>(
  call: Callable,
  chunk: RowChunk<R>,
  first: number,
  context: unknown,
): Promise<RowChunk<S>> {
  try {
    const rows = await call(chunk.rows, first, context)
    if (!Array.isArray(rows)) throw new TypeError('a batched function must return a list of rows')
    return { rows, where: rows.length === chunk.rows.length ? chunk.where : undefined }
  } catch (error) {
    throw failure(error, `batch starting at ${placeOf(chunk, 0, first)}`)
  }
}

async function applyRows<R, S>(
  call: Callable,
  chunk: RowChunk<R>,
  first: number,
  context: unknown,
): Promise<RowChunk<S>> {
  const rows: S[] = new Array(chunk.rows.length)
  for (let i = 0; i < rows.length; i++) {
    try {
      const result = call(chunk.rows[i], first + i, context)
      // Awaiting only what is a promise keeps plain functions fast.
      const row = result instanceof Promise ? await result : result
      if (row === undefined) throw new TypeError('it returned undefined')
      rows[i] = row as S
    } catch (error) {
      throw failure(error, placeOf(chunk, i, first))
    }
  }
  return { rows, where: chunk.where }
}
