import { parseOptions } from '@tunesmith/core'
import { cachedChunks, cacheFolder } from '../cache/map-cache'
import { fingerprintOf } from '../fingerprint'
import { collectRows, type RowChunk, type Rows } from '../rows'
import { applyToChunks } from '../transform/apply'
import { type AnyFunction, cachedTransformOptionsSchema } from '../transform/options'

/** Rows from `start` on, some at a time. */
async function* chunksOf<R>(rows: Rows<R>, size: number, start = 0): AsyncGenerator<RowChunk<R>> {
  for (let from = start; from < rows.length; from += size) {
    const count = Math.min(size, rows.length - from)
    yield {
      rows: Array.from({ length: count }, (_, i) => rows.get(from + i)),
      where: (index) => rows.where(from + index),
    }
  }
}

/** Runs `fn` over all rows, or takes its results from the cache. */
export async function mapRows<R, S>(
  rows: Rows<R>,
  fn: AnyFunction<R, S>,
  options: object,
  source: () => string,
): Promise<{ rows: Rows<S>; fingerprint: () => string }> {
  const parsed = parseOptions(cachedTransformOptionsSchema, options, 'map')
  const { batched, batchSize, cache, cacheKey, context } = parsed
  const fingerprint = () => fingerprintOf('map', source(), fn, batched, batched ? batchSize : 0, context, cacheKey)
  const compute = (start: number) => applyToChunks<R, S>(chunksOf(rows, batchSize, start), fn, parsed, start)
  if (cache === false) {
    const result = await collectRows(compute(0))
    return { rows: result, fingerprint }
  }
  const chunks = cachedChunks<S>({
    folder: cacheFolder(cache, `${fingerprint()}-${batchSize}`),
    rowsPerPart: batchSize,
    totalRows: rows.length,
    compute,
  })
  const results = await collectRows(chunks)
  // The cache keeps no places; where there is one result for each row they are the rows' own.
  return { rows: batched ? results : { ...results, where: (index) => rows.where(index) }, fingerprint }
}

/** The indices of the rows for which `fn` is true. */
export async function filterRows<R>(
  rows: Rows<R>,
  fn: AnyFunction<R, boolean>,
  options: object,
  source: () => string,
): Promise<{ indices: Uint32Array; fingerprint: () => string }> {
  const { rows: kept, fingerprint } = await mapRows<R, boolean>(rows, fn, options, source)
  const indices: number[] = []
  for (let i = 0; i < kept.length; i++) if (kept.get(i)) indices.push(i)
  return { indices: Uint32Array.from(indices), fingerprint: () => fingerprintOf('filter', fingerprint()) }
}
