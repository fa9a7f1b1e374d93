import { atOnce, inTurns, parseOptions, type TokenizedExample } from '@tunesmith/core'
import { z } from 'zod'
import { sliceExample } from '../tokenized'
import { type PackedBin, packBestFitDecreasing, packWrapped } from './pack'

export const packOptionsSchema = z.strictObject({
  /** Tokens in a bin. */
  maxLength: z.int().positive(),
  /**
   * `bfd` truncates what is longer than a bin, `bfd_split` splits it, `wrapped` cuts anywhere so that bins are full.
   * As in TRL. Default bfd.
   */
  strategy: z.enum(['bfd', 'bfd_split', 'wrapped']).default('bfd'),
  /**
   * Rows are packed this many at a time. Default 1000, which is what TRL does; `Infinity` packs tighter and keeps
   * everything in memory.
   */
  batchSize: z.union([z.int().positive(), z.literal(Number.POSITIVE_INFINITY)]).default(1000),
  /**
   * `wrapped` only: whether a bin is one sequence, attending across the documents in it as TRL trains it (`bin`, the
   * default), or each document's part is a sequence of its own (`document`).
   */
  boundaries: z.enum(['bin', 'document']).default('bin'),
})
export type PackOptions = z.input<typeof packOptionsSchema>

export interface PackingReport {
  /** Examples that went in. */
  examples: number
  bins: number
  /** Tokens that came out, which is fewer than went in where `bfd` truncated. */
  tokens: number
  truncatedTokens: number
  /** Used share of the bins' room, `tokens / (bins * maxLength)`; 1 when nothing was packed. */
  efficiency: number
}

export interface PackedExamples {
  /** Each bin's sequences in order: give one or more bins, flattened, to {@link collate}. */
  bins: TokenizedExample[][]
  report: PackingReport
}

function join(parts: TokenizedExample[]): TokenizedExample {
  if (parts.length === 1) return parts[0]!
  const length = parts.reduce((sum, part) => sum + part.inputIds.length, 0)
  const joined = { inputIds: new Int32Array(length), labels: new Int32Array(length) }
  let offset = 0
  for (const part of parts) {
    joined.inputIds.set(part.inputIds, offset)
    joined.labels.set(part.labels, offset)
    offset += part.inputIds.length
  }
  return joined
}

/** Packs one batch of examples; `options` have been parsed. */
export function packBatch(
  examples: readonly TokenizedExample[],
  { maxLength, strategy, boundaries }: z.output<typeof packOptionsSchema>,
): TokenizedExample[][] {
  const lengths = examples.map((example) => example.inputIds.length)
  const bins: PackedBin[] =
    strategy === 'wrapped'
      ? packWrapped(lengths, maxLength)
      : packBestFitDecreasing(lengths, maxLength, { overflow: strategy === 'bfd' ? 'truncate' : 'split' })
  return bins.map((bin) => {
    const parts = bin.map(({ index, start, end }) => sliceExample(examples[index]!, start, end))
    return strategy === 'wrapped' && boundaries === 'bin' ? [join(parts)] : parts
  })
}

function countTokens(examples: readonly TokenizedExample[]): number {
  return examples.reduce((sum, { inputIds }) => sum + inputIds.length, 0)
}

/**
 * Packs tokenized examples into bins of at most `maxLength` tokens, as TRL's `pack_dataset` does.
 *
 * @throws {TunesmithError} `invalid_options`.
 */
export function packExamples(examples: readonly TokenizedExample[], options: PackOptions): PackedExamples {
  return atOnce(packBatches(examples, options))
}

/** {@link packExamples} for many examples, which never holds the event loop up. */
export function packExamplesInTurns(
  examples: readonly TokenizedExample[],
  options: PackOptions,
): Promise<PackedExamples> {
  return inTurns(packBatches(examples, options))
}

function* packBatches(examples: readonly TokenizedExample[], options: PackOptions): Generator<void, PackedExamples> {
  const parsed = parseOptions(packOptionsSchema, options, 'packExamples')
  const bins: TokenizedExample[][] = []
  for (let start = 0; start < examples.length; start += parsed.batchSize) {
    for (const bin of packBatch(examples.slice(start, start + parsed.batchSize), parsed)) bins.push(bin)
    yield
  }
  const tokens = bins.reduce((sum, bin) => sum + countTokens(bin), 0)
  return {
    bins,
    report: {
      examples: examples.length,
      bins: bins.length,
      tokens,
      truncatedTokens: countTokens(examples) - tokens,
      efficiency: bins.length === 0 ? 1 : tokens / (bins.length * parsed.maxLength),
    },
  }
}
