import { invalidData, type Random } from '@tunesmith/core'

export interface PlanOptions {
  length: number
  random: Random
  shuffle: boolean
  batchSize?: number | undefined
  tokenBudget?: number | undefined
  groupByLength: boolean
  lengths?: ArrayLike<number> | undefined
  dropLast: boolean
  /** Rows of the epoch already handed out. */
  skip: number
}

/** The batches of one epoch, of which the first ones may have been handed out already. */
export interface BatchPlan {
  /** Batches of the whole epoch. */
  total: number
  /** Batches not yet handed out. */
  remaining(): number
  next(): number[] | undefined
}

/** Rows in a group that is sorted by length: many batches, so that order stays random at large (as in transformers). */
const BATCHES_PER_GROUP = 50
const ROWS_PER_GROUP_WITHOUT_BATCH_SIZE = 2048

function sortWithinGroups(order: Uint32Array, lengths: ArrayLike<number>, groupSize: number) {
  for (let start = 0; start < order.length; start += groupSize)
    order.subarray(start, start + groupSize).sort((a, b) => lengths[b]! - lengths[a]! || a - b)
}

/** Cuts an order of rows into batches, each full when the next row would break the budget or the size. */
function cutByBudget(order: Uint32Array, lengths: ArrayLike<number>, budget: number, batchSize: number): number[][] {
  const batches: number[][] = []
  let batch: number[] = []
  let tokens = 0
  for (const index of order) {
    const length = lengths[index]!
    if (length > budget)
      throw invalidData(`A row has ${length} tokens, more than the token budget of ${budget}`, {
        where: `row ${index}`,
        remedy: 'Raise tokenBudget, or bring the rows under it with a length policy first',
      })
    if (batch.length > 0 && (tokens + length > budget || batch.length === batchSize)) {
      batches.push(batch)
      batch = []
      tokens = 0
    }
    batch.push(index)
    tokens += length
  }
  if (batch.length > 0) batches.push(batch)
  return batches
}

/** The epoch's order of rows cut into batches, as asked for. */
export function planBatches(options: PlanOptions): BatchPlan {
  const { length, random, shuffle, tokenBudget, groupByLength, lengths, dropLast, skip } = options
  const order = Uint32Array.from({ length }, (_, index) => index)
  if (shuffle) random.shuffle(order)
  const batchSize = options.batchSize ?? (tokenBudget === undefined ? 1 : Number.POSITIVE_INFINITY)

  if (tokenBudget === undefined && !groupByLength) {
    const batchesOf = (rows: number) => (dropLast ? Math.floor(rows / batchSize) : Math.ceil(rows / batchSize))
    let at = skip
    return {
      total: batchesOf(length),
      remaining: () => batchesOf(length - at),
      next() {
        if (batchesOf(length - at) === 0) return undefined
        const batch = Array.from(order.subarray(at, Math.min(at + batchSize, length)))
        at += batch.length
        return batch
      },
    }
  }

  const group =
    batchSize === Number.POSITIVE_INFINITY ? ROWS_PER_GROUP_WITHOUT_BATCH_SIZE : batchSize * BATCHES_PER_GROUP
  if (groupByLength) sortWithinGroups(order, lengths!, group)
  let batches = cutByBudget(order, lengths!, tokenBudget ?? Number.POSITIVE_INFINITY, batchSize)
  if (dropLast && tokenBudget === undefined) batches = batches.filter((batch) => batch.length === batchSize)
  if (groupByLength && shuffle) {
    // Otherwise every group would run from long to short. The longest batch leads, so that a lack of memory shows at once.
    const [first, ...rest] = batches
    if (first) batches = [first, ...random.shuffle(rest)]
  }
  let next = 0
  for (let seen = 0; seen < skip && next < batches.length; next++) seen += batches[next]!.length
  return { total: batches.length, remaining: () => batches.length - next, next: () => batches[next++] }
}
