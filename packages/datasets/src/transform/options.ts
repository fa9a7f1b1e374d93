import { z } from 'zod'

/** Options of `map` and `filter`, on data sets and streams. */
export const transformOptionsSchema = z.strictObject({
  /** The function gets a list of rows, and their first index, instead of one row. Default false. */
  batched: z.boolean().default(false),
  /** Rows handed over at a time, to a batched function or to a worker. Default 1000. */
  batchSize: z.int().positive().default(1000),
  /**
   * Worker threads. With more than 0 the function runs in them: it must not use variables from outside itself other than
   * its parameters (`context`), or be the URL of a module whose default export it is. Default 0.
   */
  workers: z.int().nonnegative().default(0),
  /** Handed to the function as its third argument, and part of the fingerprint. Must be structured-cloneable for workers. */
  context: z.unknown().optional(),
})

export const cachedTransformOptionsSchema = transformOptionsSchema.extend({
  /**
   * Keep the result on disk and take it from there next time: `true` for the user's cache folder
   * (`TUNESMITH_CACHE`, else `~/.cache/tunesmith`), or a folder. Default false, since a fingerprint sees the function's
   * source but not the variables it uses from outside: pass those as `context`.
   */
  cache: z.union([z.boolean(), z.string().min(1)]).default(false),
  /** Part of the fingerprint besides source, function and options: change it to have the result computed anew. */
  cacheKey: z.string().default(''),
})

export type TransformOptions<Context = undefined, Batched extends boolean = false> = Omit<
  z.input<typeof transformOptionsSchema>,
  'context' | 'batched'
> & { context?: Context } & (Batched extends true ? { batched: true } : { batched?: false })
export type CachedTransformOptions<Context = undefined, Batched extends boolean = false> = Omit<
  z.input<typeof cachedTransformOptionsSchema>,
  'context' | 'batched'
> & { context?: Context } & (Batched extends true ? { batched: true } : { batched?: false })

/** One row in, one value out. A URL names a module whose default export is the function. */
export type RowFunction<R, S, Context> = ((row: R, index: number, context: Context) => S | Promise<S>) | URL
/** A list of rows in, a list of any length out. */
export type BatchFunction<R, S, Context> =
  | ((rows: R[], firstIndex: number, context: Context) => S[] | Promise<S[]>)
  | URL

export type AnyFunction<R, S> = RowFunction<R, S, never> | BatchFunction<R, S, never>
