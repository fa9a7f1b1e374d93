import { parseOptions, type TokenizedExample } from '@tunesmith/core'
import type { RowChunk } from '../rows'
import { DataStream } from '../stream/stream'
import { type PackOptions, packBatch, packOptionsSchema } from './pack-examples'

/**
 * Packs a stream of tokenized examples, `batchSize` of them at a time, into bins: lists of sequences to give to
 * `collate`. The bins are those of `packExamples` on the same rows.
 */
export function packStream<Example extends TokenizedExample>(
  examples: DataStream<Example>,
  options: PackOptions,
): DataStream<TokenizedExample[]> {
  const parsed = parseOptions(packOptionsSchema, options, 'packStream')
  return new DataStream(async function* (): AsyncGenerator<RowChunk<TokenizedExample[]>> {
    for await (const batch of examples.batches(parsed.batchSize)) yield { rows: packBatch(batch, parsed) }
  })
}
