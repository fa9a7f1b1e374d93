import { describe, expect, it } from 'vitest'
import { packExamples } from '../packing/pack-examples'
import { packStream } from '../packing/pack-stream'
import { DataStream } from './stream'

const numbers = (length: number) =>
  DataStream.fromGenerator(function* () {
    for (let i = 0; i < length; i++) yield { i }
  })
const values = async (stream: DataStream<{ i: number }>) => (await stream.collect()).column('i')

describe('DataStream', () => {
  it('maps, filters, takes and skips, reading no further than needed', async () => {
    let made = 0
    const endless = DataStream.fromGenerator(function* () {
      for (;;) yield { i: made++ }
    })
    const rows = endless
      .filter(({ i }) => i % 2 === 0)
      .map(({ i }) => ({ i: i / 2 }))
      .skip(3)
      .take(4)
    expect(await values(rows)).toEqual([3, 4, 5, 6])
    expect(made).toBeLessThan(1000)
  })

  it('gives batched functions batches of the size promised', async () => {
    const sizes = numbers(1000).map((rows) => [rows.length], { batched: true, batchSize: 300 })
    expect((await sizes.collect()).toArray()).toEqual([300, 300, 300, 100])
    const lists: number[][] = []
    for await (const batch of numbers(7).batches(3)) lists.push(batch.map(({ i }) => i))
    expect(lists).toEqual([[0, 1, 2], [3, 4, 5], [6]])
  })

  it('filters in worker threads whatever the size of batches', async () => {
    const kept = numbers(1000).filter(({ i }) => i % 100 === 7, { workers: 2, batchSize: 33 })
    expect(await values(kept)).toEqual([7, 107, 207, 307, 407, 507, 607, 707, 807, 907])
  })

  it('shuffles within its buffer, the same way each time', async () => {
    const shuffled = numbers(5000).shuffle({ seed: 9, bufferSize: 100 })
    const first = await values(shuffled)
    expect(await values(shuffled)).toEqual(first)
    expect(await values(numbers(5000).shuffle({ seed: 10, bufferSize: 100 }))).not.toEqual(first)
    expect([...first].sort((a, b) => a - b)).toEqual(await values(numbers(5000)))
    expect(first).not.toEqual(await values(numbers(5000)))
    // A row cannot come out before it was read.
    for (const [place, i] of first.entries()) expect(i).toBeLessThanOrEqual(place + 100)
  })

  it('concatenates and interleaves', async () => {
    const [a, b] = [numbers(3), numbers(2).map(({ i }) => ({ i: i + 10 }))]
    expect(await values(DataStream.concatenate([a, b]))).toEqual([0, 1, 2, 10, 11])
    expect(await values(DataStream.interleave([a, b]))).toEqual([0, 10, 1, 11])
    expect(await values(DataStream.interleave([a, b], { stopping: 'allExhausted' }))).toEqual([0, 10, 1, 11, 2, 10])
    expect(await values(DataStream.interleave([b, a]))).toEqual([10, 0, 11, 1])
    expect(() => DataStream.interleave([a, b], { probabilities: [1] })).toThrow(/add up to 1/)
  })

  it('packs as packExamples does', async () => {
    const examples = Array.from({ length: 2500 }, (_, i) => {
      const ids = Array.from({ length: (i * 37) % 50 }, (_, t) => t)
      return { inputIds: ids, labels: ids }
    })
    const options = { maxLength: 64, strategy: 'bfd' as const }
    const streamed = await packStream(
      DataStream.fromGenerator(() => examples),
      options,
    ).collect()
    expect(streamed.toArray()).toEqual(packExamples(examples, options).bins)
  })
})
