import { atOnce, IGNORE_INDEX, inTurns, invalidData, parseOptions, type TokenizedExample } from '@tunesmith/core'
import { z } from 'zod'
import { hasTargets, sliceExample } from '../tokenized'

const lengthPolicySchema = z.strictObject({
  /** Tokens an example may have. */
  maxLength: z.int().positive(),
  /** What happens to a longer one: left out, cut, or made into several. Default truncate. */
  policy: z.enum(['drop', 'truncate', 'split']).default('truncate'),
  /** What a cut keeps. Default `keep_start`, as TRL. */
  truncationMode: z.enum(['keep_start', 'keep_end']).default('keep_start'),
  /**
   * The id that ends an answer, or several of which any does. When given, answers that lose it to the cut are found by it;
   * otherwise every example whose last token was learnt and is cut off counts.
   */
  eosTokenId: z.union([z.int().nonnegative(), z.array(z.int().nonnegative())]).optional(),
  /**
   * What happens when the cut takes the answer's end, from which the model learns to stop: `report` cuts as TRL does
   * and counts it, `keep` puts the EOS token in the last place, `drop` leaves the example out, `error` refuses.
   * Default report.
   */
  eosCut: z.enum(['report', 'keep', 'drop', 'error']).default('report'),
  /** Leave out examples none of whose tokens would be learnt. Default true, as TRL. */
  dropWithoutTargets: z.boolean().default(true),
})
export type LengthPolicyOptions = z.input<typeof lengthPolicySchema>

export interface LengthReport {
  /** Examples in, and out. */
  examples: number
  kept: number
  /** Examples longer than `maxLength`. */
  tooLong: number
  dropped: number
  truncated: number
  /** Examples that became several. */
  split: number
  /** Answers that lost their EOS token to the cut. */
  eosCut: number
  /** Left out because none of their tokens would be learnt. */
  withoutTargets: number
  /** All of the above in a line, for a log. */
  summary: string
}

export interface LengthPolicyResult<Example> {
  examples: Example[]
  /** For each example kept, the index of the one it came from. */
  indices: number[]
  report: LengthReport
}

function summarize(report: Omit<LengthReport, 'summary'>, maxLength: number): string {
  const parts = [`${report.tooLong} of ${report.examples} examples exceed ${maxLength} tokens`]
  if (report.dropped) parts.push(`${report.dropped} dropped`)
  if (report.truncated) parts.push(`${report.truncated} truncated`)
  if (report.split) parts.push(`${report.split} split`)
  if (report.eosCut) parts.push(`${report.eosCut} answers lost their end token`)
  if (report.withoutTargets) parts.push(`${report.withoutTargets} left out because nothing in them is trained on`)
  return parts.join(', ')
}

/**
 * Brings tokenized examples under `maxLength`, and says what that cost. Other properties of an example are kept.
 *
 * @throws {TunesmithError} `invalid_options`; `invalid_data` with `eosCut: 'error'`.
 */
export function applyLengthPolicy<Example extends TokenizedExample>(
  examples: readonly Example[],
  options: LengthPolicyOptions,
): LengthPolicyResult<Example> {
  return atOnce(fitExamples(examples, options))
}

/** {@link applyLengthPolicy} for many examples, which never holds the event loop up. */
export function applyLengthPolicyInTurns<Example extends TokenizedExample>(
  examples: readonly Example[],
  options: LengthPolicyOptions,
): Promise<LengthPolicyResult<Example>> {
  return inTurns(fitExamples(examples, options))
}

function* fitExamples<Example extends TokenizedExample>(
  examples: readonly Example[],
  options: LengthPolicyOptions,
): Generator<void, LengthPolicyResult<Example>> {
  const parsed = parseOptions(lengthPolicySchema, options, 'applyLengthPolicy')
  const { maxLength, policy, truncationMode, eosTokenId, eosCut, dropWithoutTargets } = parsed
  const ends = eosTokenId === undefined ? undefined : new Set([eosTokenId].flat())
  const kept: Example[] = []
  const indices: number[] = []
  const report = {
    examples: examples.length,
    kept: 0,
    tooLong: 0,
    dropped: 0,
    truncated: 0,
    split: 0,
    eosCut: 0,
    withoutTargets: 0,
  }
  const slice = (example: Example, start: number, end: number): Example => ({
    ...example,
    ...sliceExample(example, start, end),
  })

  const pieces = (example: Example, index: number): Example[] => {
    const length = example.inputIds.length
    if (length <= maxLength) return [example]
    report.tooLong++
    if (policy === 'drop') {
      report.dropped++
      return []
    }
    if (policy === 'split') {
      report.split++
      const parts: Example[] = []
      for (let start = 0; start < length; start += maxLength)
        parts.push(slice(example, start, Math.min(length, start + maxLength)))
      return parts
    }
    if (truncationMode === 'keep_end') {
      report.truncated++
      return [slice(example, length - maxLength, length)]
    }
    const cut = slice(example, 0, maxLength)
    const end = answerEnd(example, ends)
    if (end >= maxLength) {
      if (eosCut === 'error')
        throw invalidData(`An example of ${length} tokens loses its end token when cut to ${maxLength}`, {
          where: `example ${index}`,
          remedy: 'Raise maxLength, or choose eosCut "keep" or "drop", or truncationMode "keep_end"',
        })
      report.eosCut += eosCut === 'keep' ? 0 : 1
      if (eosCut === 'drop') {
        report.dropped++
        return []
      }
      if (eosCut === 'keep') {
        // The cut may be a view of the example's own ids.
        const [inputIds, labels] = [cut.inputIds.slice(), cut.labels.slice()]
        inputIds[maxLength - 1] = example.inputIds[end]!
        labels[maxLength - 1] = example.labels[end]!
        Object.assign(cut, { inputIds, labels })
      }
    }
    report.truncated++
    return [cut]
  }

  for (const [index, example] of examples.entries()) {
    if (index % 256 === 255) yield
    for (const piece of pieces(example, index)) {
      if (dropWithoutTargets && !hasTargets(piece.labels)) {
        report.withoutTargets++
        continue
      }
      kept.push(piece)
      indices.push(index)
    }
  }
  report.kept = kept.length
  return { examples: kept, indices, report: { ...report, summary: summarize(report, maxLength) } }
}

/** The place of the token that ends the last learnt answer; -1 when there is none. */
function answerEnd({ inputIds, labels }: TokenizedExample, ends: ReadonlySet<number> | undefined): number {
  // Templates may put a line break behind the EOS token, so the last learnt EOS is looked for, not the last token.
  if (ends === undefined) return labels.at(-1) === IGNORE_INDEX ? -1 : labels.length - 1
  let t = labels.length - 1
  while (t >= 0 && (labels[t] === IGNORE_INDEX || !ends.has(inputIds[t]!))) t--
  return t
}
