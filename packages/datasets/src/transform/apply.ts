import { invalidData, invalidOptions, isTunesmithError, mapInOrder, type TunesmithError } from '@tunesmith/core'
import type { RowChunk } from '../rows'
import type { AnyFunction } from './options'
import { createRowThreads, createRowWork, type RowFailure } from './worker'

/** What `applyToChunks` needs of the parsed options. */
export interface ApplyOptions {
  batched: boolean
  batchSize: number
  workers: number
  context?: unknown
}

/** A row's place, or its number when it has none. */
function placeOf<R>(chunk: RowChunk<R>, index: number, firstIndex: number): string {
  return chunk.where?.(index) ?? `row ${firstIndex + index}`
}

function failure(error: unknown, place: string): TunesmithError {
  if (isTunesmithError(error)) return error as TunesmithError
  return invalidData(`The function given to map or filter failed: ${(error as Error)?.message ?? error}`, {
    where: place,
    cause: error,
  })
}

async function resolve<R, S>(fn: AnyFunction<R, S>): Promise<(...args: unknown[]) => unknown> {
  if (!(fn instanceof URL)) return fn as (...args: unknown[]) => unknown
  const module = (await import(fn.href)) as { default?: unknown }
  if (typeof module.default === 'function') return module.default as (...args: unknown[]) => unknown
  throw invalidOptions('The module has no function as its default export', { where: fn.href })
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
  const options = { batched, context }
  const threads = workers > 0 ? createRowThreads(fn, workers, options) : undefined
  const run = threads?.run ?? createRowWork(await resolve(fn), options)
  let next = firstIndex
  try {
    yield* mapInOrder(chunks, Math.max(1, 2 * workers), async (chunk): Promise<RowChunk<S>> => {
      const first = next
      next += chunk.rows.length
      const rows = (await run({ rows: chunk.rows, first }).catch((error: RowFailure) => {
        const place = placeOf(chunk, error.row ?? 0, first)
        throw failure(error, batched ? `batch starting at ${place}` : place)
      })) as S[]
      return { rows, where: rows.length === chunk.rows.length ? chunk.where : undefined }
    })
  } finally {
    await threads?.close()
  }
}
