import { describe, expect, it } from 'vitest'
import { collate } from '../packing/collate'
import { packStream } from '../packing/pack-stream'
import { DataStream } from './stream'

describe('a stream of a million rows', () => {
  it('stays under 350 MB through map, filter, shuffle and packing', async () => {
    let peak = 0
    const rows = DataStream.fromGenerator(function* () {
      for (let i = 0; i < 1_000_000; i++) {
        if (i % 5000 === 0) peak = Math.max(peak, process.memoryUsage.rss())
        yield { id: i, text: `row ${i} `.repeat(1 + (i % 13)) }
      }
    })
    const examples = rows
      .map(({ id, text }) => {
        const inputIds = new Int32Array(text.length >> 2).fill(id % 500)
        return { id, inputIds, labels: inputIds }
      })
      .filter(({ id }) => id % 10 !== 0)
      .shuffle({ seed: 4, bufferSize: 10_000 })
    let tokens = 0
    for await (const bin of packStream(examples, { maxLength: 512 })) tokens += collate(bin).inputIds.length
    expect(tokens).toBeGreaterThan(10_000_000)
    expect(peak / 2 ** 20).toBeLessThan(350)
    console.info(`peak resident memory: ${Math.round(peak / 2 ** 20)} MB`)
  })
})
