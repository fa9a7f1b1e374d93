import { invalidData } from '@tunesmith/core'

/** Sequences end to end, without padding: what a model reads. */
export interface ModelInput {
  /** `[tokens]` */
  inputIds: ArrayLike<number>
  /** `[tokens]`, restarting at 0 in each sequence. */
  positions: ArrayLike<number>
  /** `[sequences + 1]`, where each sequence starts, and the end. */
  cuSeqlens: ArrayLike<number>
  /** `[sequences]`, the adapter each sequence wants, for batches that mix them; `__base__` for none. Default: the active one. */
  adapterNames?: readonly string[]
}

/** Sequences laid end to end. */
export function packSequences(sequences: readonly ArrayLike<number>[]): ModelInput {
  const tokens = sequences.reduce((sum, sequence) => sum + sequence.length, 0)
  const inputIds = new Int32Array(tokens)
  const positions = new Int32Array(tokens)
  const cuSeqlens = new Int32Array(sequences.length + 1)
  let at = 0
  sequences.forEach((sequence, s) => {
    if (sequence.length === 0) throw invalidData(`Sequence ${s} is empty`)
    for (let i = 0; i < sequence.length; i++) {
      inputIds[at] = sequence[i]!
      positions[at++] = i
    }
    cuSeqlens[s + 1] = at
  })
  return { inputIds, positions, cuSeqlens }
}
