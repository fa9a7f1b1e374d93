/**
 * Edits of TER (M. Snover et al. 2006) as sacrebleu counts them after Tercom: insertions, deletions, substitutions and
 * shifts of word blocks, found greedily with a beam around the diagonal. The limits decide scores, so they are the same.
 */
const MAX_SHIFT_SIZE = 10
const MAX_SHIFT_DISTANCE = 50
const BEAM_WIDTH = 25
const MAX_SHIFT_CANDIDATES = 1000

const UNREACHED = 1e9
enum Op {
  None,
  Same,
  Substitute,
  Insert,
  Delete,
}

/** The edit distance table of a prediction against a reference; keeps rows so that a shifted prediction can reuse them. */
class EditTable {
  readonly #stride: number
  readonly #cost: Int32Array
  readonly #op: Uint8Array
  readonly #words: Int32Array
  #filled = false

  constructor(
    readonly reference: Int32Array,
    readonly length: number,
  ) {
    this.#stride = reference.length + 1
    this.#cost = new Int32Array((length + 1) * this.#stride)
    this.#op = new Uint8Array((length + 1) * this.#stride)
    this.#words = new Int32Array(length)
    for (let j = 0; j < this.#stride; j++) {
      this.#cost[j] = j
      this.#op[j] = Op.Insert
    }
  }

  /** Edits from `words`, always of the same length, to the reference; only rows after the first new word are filled. */
  distance(words: Int32Array): number {
    let first = 0
    if (this.#filled) while (first < this.length && words[first] === this.#words[first]) first++
    this.#words.set(words)
    this.#filled = true
    const { reference, length } = this
    const stride = this.#stride
    const cost = this.#cost
    const op = this.#op
    const ratio = length > 0 ? reference.length / length : 1
    const beam = BEAM_WIDTH < ratio / 2 ? Math.ceil(ratio / 2 + BEAM_WIDTH) : BEAM_WIDTH
    for (let i = first + 1; i <= length; i++) {
      const diagonal = Math.floor(i * ratio)
      const from = Math.max(0, diagonal - beam)
      const to = i === length ? stride : Math.min(stride, diagonal + beam)
      const row = i * stride
      cost.fill(UNREACHED, row, row + stride)
      op.fill(Op.None, row, row + stride)
      for (let j = from; j < to; j++) {
        const at = row + j
        if (j === 0) {
          cost[at] = cost[at - stride] + 1
          op[at] = Op.Delete
          continue
        }
        const same = words[i - 1] === reference[j - 1]
        const replaced = cost[at - stride - 1] + (same ? 0 : 1)
        if (replaced < cost[at]) {
          cost[at] = replaced
          op[at] = same ? Op.Same : Op.Substitute
        }
        if (cost[at - stride] + 1 < cost[at]) {
          cost[at] = cost[at - stride] + 1
          op[at] = Op.Delete
        }
        if (cost[at - 1] + 1 < cost[at]) {
          cost[at] = cost[at - 1] + 1
          op[at] = Op.Insert
        }
      }
    }
    return cost[length * stride + reference.length]
  }

  /** For the words last measured: where each reference word lies in them, and which positions of either are wrong. */
  alignment(): { position: Int32Array; referenceWrong: Uint8Array; wordWrong: Uint8Array } {
    const { reference, length } = this
    const ops: Op[] = []
    let i = length
    let j = reference.length
    while (i > 0 || j > 0) {
      const op = this.#op[i * this.#stride + j] as Op
      ops.push(op)
      if (op !== Op.Insert) i--
      if (op !== Op.Delete) j--
    }
    const position = new Int32Array(reference.length)
    const referenceWrong = new Uint8Array(reference.length)
    const wordWrong = new Uint8Array(length)
    let word = -1
    let ref = -1
    for (const op of ops.reverse()) {
      if (op !== Op.Insert) word++
      if (op !== Op.Delete) ref++
      const wrong = op === Op.Same ? 0 : 1
      if (op !== Op.Insert) wordWrong[word] = wrong
      if (op !== Op.Delete) {
        position[ref] = word
        referenceWrong[ref] = wrong
      }
    }
    return { position, referenceWrong, wordWrong }
  }
}

/** Moves the block of `length` words at `start` so that it comes to stand before what is now at `target`. */
function moveBlock(words: Int32Array, start: number, length: number, target: number): Int32Array {
  const block = words.subarray(start, start + length)
  const rest = new Int32Array(words.length - length)
  rest.set(words.subarray(0, start))
  rest.set(words.subarray(start + length), start)
  // Targets inside the block, or just behind it, count from the block's start.
  const at = Math.min(rest.length, target > start + length ? target - length : target)
  const moved = new Int32Array(words.length)
  moved.set(rest.subarray(0, at))
  moved.set(block, at)
  moved.set(rest.subarray(at), at + length)
  return moved
}

const anySet = (flags: Uint8Array, start: number, length: number) => {
  for (let i = start; i < start + length; i++) if (flags[i]) return true
  return false
}

interface Shift {
  gain: number
  length: number
  start: number
  target: number
  words: Int32Array
}

/** Larger gain first, then the longer block, then the earlier block, then the earlier target. */
const isBetter = (a: Shift, b: Shift) =>
  a.gain - b.gain || a.length - b.length || b.start - a.start || b.target - a.target

/** The most useful single shift, and how many were tried; stops soon after `budget` tries. */
function bestShift(words: Int32Array, reference: Int32Array, table: EditTable, budget: number) {
  const before = table.distance(words)
  const { position, referenceWrong, wordWrong } = table.alignment()
  let best: Shift | null = null
  let tried = 0
  for (let start = 0; start < words.length; start++) {
    const last = Math.min(reference.length - 1, start + MAX_SHIFT_DISTANCE)
    for (let target = Math.max(0, start - MAX_SHIFT_DISTANCE); target <= last; target++) {
      for (let length = 1; length <= MAX_SHIFT_SIZE; length++) {
        const end = start + length
        if (end > words.length || target + length > reference.length) break
        if (words[end - 1] !== reference[target + length - 1]) break
        // A move pays only if both the block and the place it would go to are wrong now.
        if (!anySet(wordWrong, start, length) || !anySet(referenceWrong, target, length)) continue
        if (start <= position[target] && position[target] < end) continue
        let previous = -1
        for (let offset = -1; offset < length; offset++) {
          const index = target + offset === -1 ? 0 : position[target + offset] + 1
          if (index === previous) continue
          previous = index
          const moved = moveBlock(words, start, length, index)
          const shift = { gain: before - table.distance(moved), length, start, target: index, words: moved }
          tried++
          if (best === null || isBetter(shift, best) > 0) best = shift
        }
        if (tried >= budget) return { best, tried }
      }
    }
  }
  return { best, tried }
}

/** @param words, reference word ids. @returns the number of edits that turn `words` into `reference`. */
export function countEdits(words: Int32Array, reference: Int32Array): number {
  if (reference.length === 0) return words.length
  const table = new EditTable(reference, words.length)
  let current = words
  let shifts = 0
  let budget = MAX_SHIFT_CANDIDATES
  for (;;) {
    const { best, tried } = bestShift(current, reference, table, budget)
    budget -= tried
    if (budget <= 0 || best === null || best.gain <= 0) break
    shifts++
    current = best.words
  }
  return shifts + table.distance(current)
}
