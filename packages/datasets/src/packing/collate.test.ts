import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sharedFolder } from '../testing/shared'
import { collate, collatePadded } from './collate'
import { packExamples } from './pack-examples'

const examples = [
  { inputIds: [5, 6, 7], labels: [-100, 6, 7] },
  { inputIds: [], labels: [] },
  { inputIds: [8, 9], labels: [8, -100] },
]

describe('collate', () => {
  it('lays sequences end to end, with labels shifted inside each', () => {
    const batch = collate(examples)
    expect(Array.from(batch.inputIds)).toEqual([5, 6, 7, 8, 9])
    expect(Array.from(batch.labels)).toEqual([6, 7, -100, -100, -100])
    expect(Array.from(batch.positions)).toEqual([0, 1, 2, 0, 1])
    expect(Array.from(batch.cuSeqlens)).toEqual([0, 3, 5])
    expect([batch.maxSeqlen, batch.numLabels]).toEqual([3, 2])
  })

  it('is the same for typed arrays, empty for nothing, and refuses labels that do not fit', () => {
    const typed = examples.map(({ inputIds, labels }) => ({
      inputIds: Int32Array.from(inputIds),
      labels: Int32Array.from(labels),
    }))
    expect(collate(typed)).toEqual(collate(examples))
    expect(collate([])).toMatchObject({ maxSeqlen: 0, numLabels: 0, cuSeqlens: Int32Array.of(0) })
    expect(() => collate([{ inputIds: [1, 2], labels: [1] }])).toThrow(/2 token ids but 1 labels \(example 0/)
  })
})

describe('collatePadded', () => {
  it('pads on either side, to a multiple', () => {
    const right = collatePadded(examples, { padTokenId: 3 })
    expect([right.rows, right.length]).toEqual([3, 3])
    expect(Array.from(right.inputIds)).toEqual([5, 6, 7, 3, 3, 3, 8, 9, 3])
    expect(Array.from(right.attentionMask)).toEqual([1, 1, 1, 0, 0, 0, 1, 1, 0])
    expect(Array.from(right.labels)).toEqual([-100, 6, 7, -100, -100, -100, 8, -100, -100])
    const left = collatePadded(examples.slice(2), { padTokenId: 3, paddingSide: 'left', padToMultipleOf: 4 })
    expect(Array.from(left.inputIds)).toEqual([3, 3, 8, 9])
  })
})

describe('wrapped packing', () => {
  it('makes each bin one sequence as TRL does, or keeps documents apart', () => {
    const rows = [3, 4].map((n) => ({ inputIds: Array.from({ length: n }, (_, i) => i), labels: new Array(n).fill(1) }))
    const options = { maxLength: 5, strategy: 'wrapped' as const }
    const lengths = (bins: { inputIds: ArrayLike<number> }[][]) => bins.map((bin) => bin.map((s) => s.inputIds.length))
    expect(lengths(packExamples(rows, options).bins)).toEqual([[5], [2]])
    const apart = packExamples(rows, { ...options, boundaries: 'document' })
    expect(lengths(apart.bins)).toEqual([[3, 2], [2]])
    expect(apart.report).toEqual({ examples: 2, bins: 2, tokens: 7, truncatedTokens: 0, efficiency: 0.7 })
    expect(packExamples(rows, { maxLength: 3 }).report).toMatchObject({ tokens: 6, truncatedTokens: 1, efficiency: 1 })
  })
})

const goldens = sharedFolder('goldens/trl_sft')

describe.skipIf(!goldens.present)(`TRL's batches ${goldens.note}`, () => {
  interface Prepared {
    input_ids: number[]
    labels: number[]
    seq_lengths?: number[]
  }
  interface Micro {
    input_ids: number[][]
    labels: number[][]
    attention_mask?: number[][]
    position_ids?: number[][]
  }
  const read = (run: string) =>
    JSON.parse(readFileSync(join(goldens.path, `${run}.json`), 'utf8')) as {
      prepared_train: Prepared[]
      steps: { micro_batches: Micro[] }[]
    }

  it('pads as the recorded batches were padded', () => {
    const { prepared_train, steps } = read('a_prompt_completion')
    const [first, second] = steps[0]!.micro_batches
    for (const [i, micro] of [first!, second!].entries()) {
      const rows = prepared_train
        .slice(4 * i, 4 * i + 4)
        .map((row) => ({ inputIds: row.input_ids, labels: row.labels }))
      const batch = collatePadded(rows, { padTokenId: 3 })
      expect(Array.from(batch.inputIds)).toEqual(micro.input_ids.flat())
      expect(Array.from(batch.labels)).toEqual(micro.labels.flat())
      expect(Array.from(batch.attentionMask)).toEqual(micro.attention_mask!.flat())
    }
  })

  it.each(['c_packing_bfd', 'c2_packing_bfd_completion'])('lays bins end to end as %s did', (run) => {
    const { prepared_train, steps } = read(run)
    const bins = prepared_train.map(({ input_ids, labels, seq_lengths }) => {
      let start = 0
      return seq_lengths!.map((length) => {
        const part = { inputIds: input_ids.slice(start, start + length), labels: labels.slice(start, start + length) }
        start += length
        return part
      })
    })
    const batch = collate(bins.slice(0, 2).flat())
    const micro = steps[0]!.micro_batches[0]!
    expect(Array.from(batch.inputIds)).toEqual(micro.input_ids[0])
    expect(Array.from(batch.positions)).toEqual(micro.position_ids![0])
    // TRL's labels are shifted by the loss; the first of each document is -100 for it.
    expect(Array.from(batch.labels).slice(0, -1)).toEqual(micro.labels[0]!.slice(1))
  })
})

it.each([
  [
    { inputIds: [1, 2], labels: [-1, 2] },
    'The label -1 is no token id and not -100 (example 1 of the batch, labels[0])',
  ],
  [{ inputIds: [1, 2], labels: [-100, 2.5] }, 'The label 2.5 is no token id'],
  [{ inputIds: [-100, 2], labels: [-100, 2] }, 'The token id -100 is none (example 1 of the batch, inputIds[0])'],
  [{ inputIds: [1, 2], labels: [2] }, '2 token ids but 1 labels'],
])('refuses %j', (broken, message) => {
  const examples = [{ inputIds: [5], labels: [-100] }, broken]
  expect(() => collate(examples)).toThrow(message)
  expect(() => collatePadded(examples, { padTokenId: 0 })).toThrow(message)
})
