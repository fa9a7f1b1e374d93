import { incompatible, invalidOptions, parseOptions, Random } from '@tunesmith/core'
import { z } from 'zod'
import { type BatchPlan, planBatches } from './plan'

const samplerSchema = z.strictObject({
  /** How many rows (or packed bins) there are. */
  length: z.int().nonnegative(),
  /** Default 0. */
  seed: z.int().default(0),
  /** The epoch to start with, from 0; each has an order of its own. Default 0. */
  epoch: z.int().nonnegative().default(0),
  /** Default true. */
  shuffle: z.boolean().default(true),
  /** Rows in a batch. Default 1; with `tokenBudget` the most a batch may hold, by default any number. */
  batchSize: z.int().positive().optional(),
  /** Tokens in a batch, counted without padding; needs `lengths`. */
  tokenBudget: z.int().positive().optional(),
  /** Put rows of like length together; needs `lengths`. Default false. */
  groupByLength: z.boolean().default(false),
  /** Tokens in each row, `[length]`. */
  lengths: z.custom<ArrayLike<number>>((value) => Array.isArray(value) || ArrayBuffer.isView(value)).optional(),
  /** Leave out a last batch that is not full. Not with `tokenBudget`. Default false. */
  dropLast: z.boolean().default(false),
})
export type SamplerOptions = z.input<typeof samplerSchema>

/** Where a sampler is: plain JSON, to keep beside a checkpoint. */
export interface SamplerState {
  seed: number
  epoch: number
  /** Rows of this epoch already handed out. */
  seen: number
  length: number
  /** What the order depends on besides seed and epoch; a sampler made otherwise refuses the state. */
  order: string
}

/** Hands out batches of row indices, one epoch after the other. */
export interface Sampler extends Iterable<number[]> {
  readonly epoch: number
  /** Batches in the whole current epoch. */
  readonly batchesPerEpoch: number
  /** Batches of the current epoch not yet handed out. After a resume with another batch size, those of the rows not yet seen. */
  readonly batchesLeft: number
  /** The next batch of this epoch; undefined at its end, after which {@link nextEpoch} goes on. */
  next(): number[] | undefined
  nextEpoch(): void
  state(): SamplerState
  /** Iterates over what is left of this epoch. */
  [Symbol.iterator](): Iterator<number[]>
}

/** FNV-1a over the lengths: enough to notice that a checkpoint belongs to other data. */
function hashLengths(lengths: ArrayLike<number>): string {
  let hash = 0x811c9dc5
  for (let i = 0; i < lengths.length; i++) hash = Math.imul(hash ^ lengths[i]!, 0x01000193)
  return (hash >>> 0).toString(16)
}

/**
 * Makes a sampler; the same options give the same batches on every machine.
 *
 * @param options see {@link SamplerOptions}.
 * @param state continue exactly after the last batch handed out before `state()` was called. `seed` and `epoch` come
 *   from it.
 * @throws {TunesmithError} `invalid_options`; `incompatible` when `state` is of another data set or order.
 */
export function createSampler(options: SamplerOptions, state?: SamplerState): Sampler {
  const parsed = parseOptions(samplerSchema, options, 'createSampler')
  const { length, shuffle, batchSize, tokenBudget, groupByLength, lengths } = parsed
  if ((groupByLength || tokenBudget !== undefined) && lengths === undefined)
    throw invalidOptions('Batches by length need the lengths', {
      where: 'createSampler',
      remedy: 'Give "lengths", the number of tokens of each row',
    })
  if (lengths !== undefined && lengths.length !== length)
    throw invalidOptions(`There are ${length} rows but ${lengths.length} lengths`, { where: 'createSampler' })
  const planned = groupByLength || tokenBudget !== undefined
  // In plain order the batches can be any size after a resume; planned batches depend on everything.
  const order = planned
    ? JSON.stringify([shuffle, batchSize ?? null, tokenBudget ?? null, groupByLength, hashLengths(lengths!)])
    : JSON.stringify([shuffle])
  if (state && (state.length !== length || state.order !== order))
    throw incompatible('The sampler state was saved for other data or other batches', {
      where: `saved: ${state.length} rows, order ${state.order}; now: ${length} rows, order ${order}`,
      remedy: 'Resume with the data and batch options of the saved run, or start the epoch anew without a state',
    })

  const seed = state?.seed ?? parsed.seed
  let epoch = state?.epoch ?? parsed.epoch
  let seen = state?.seen ?? 0
  let plan = planEpoch()

  function planEpoch(): BatchPlan {
    return planBatches({ ...parsed, random: new Random(seed, `sampler epoch ${epoch}`), skip: seen })
  }

  const sampler: Sampler = {
    get epoch() {
      return epoch
    },
    get batchesPerEpoch() {
      return plan.total
    },
    get batchesLeft() {
      return plan.remaining()
    },
    next() {
      const batch = plan.next()
      if (batch) seen += batch.length
      return batch
    },
    nextEpoch() {
      epoch++
      seen = 0
      plan = planEpoch()
    },
    state: () => ({ seed, epoch, seen, length, order }),
    *[Symbol.iterator]() {
      for (let batch = sampler.next(); batch; batch = sampler.next()) yield batch
    },
  }
  return sampler
}
