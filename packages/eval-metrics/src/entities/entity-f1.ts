import { invalidData, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { type Averages, averages, type Counts, type PrecisionRecallF1 } from '../classification/prf'
import { matchEntities } from './chunks'

const schema = z.strictObject({
  /** Per row the tag of every token, such as `B-Disease`, `I-Disease`, `O`. */
  predictions: z.array(z.array(z.string())),
  references: z.array(z.array(z.string())),
  /** Only `B-` begins an entity (IOB2), and tags of other schemes (`S-`, `E-`) are refused. Default false: seqeval's default, conlleval's reading. */
  strict: z.boolean().default(false),
})
export type EntityOptions = z.input<typeof schema>

/** Averages over the types of entity; `micro` is the usual "entity F1". */
export interface EntityScores extends Averages {
  types: Record<string, PrecisionRecallF1>
  /** F1 of each row alone; 1 when there is nothing to find and nothing was found. For significance tests. */
  rows: number[]
  /** Share of tokens with the wanted tag. */
  tokenAccuracy: number
}

function refuseForeignTags(tags: readonly string[], where: string): void {
  const foreign = tags.find((tag) => tag !== '' && !/^[BIO]/.test(tag))
  if (foreign !== undefined)
    throw invalidData(`"${foreign}" is no tag of IOB2, whose tags begin with B, I or O`, {
      where,
      remedy: 'Leave strict off, which reads IOBES tags too, or write S- as B-, and E- as I-',
    })
}

/**
 * Precision, recall and F1 of whole entities: one counts only with the right type and both ends right. As seqeval.
 *
 * @throws {TunesmithError} `invalid_data` for no rows, different counts of rows, or of tags in a row; with `strict`, for a tag that
 *   IOB2 does not have, as seqeval's strict mode does.
 */
export function entityF1(options: EntityOptions): EntityScores {
  const { predictions, references, strict } = parseOptions(schema, options, 'entityF1')
  const wrong = (what: string, where: string) =>
    invalidData(what, { where, remedy: 'Give every token a tag; see bioTags for free answers' })
  if (predictions.length !== references.length || predictions.length === 0)
    throw wrong(`${predictions.length} predicted rows and ${references.length} reference rows`, 'entityF1')
  const types = new Map<string, Counts>()
  const countsOf = (type: string) => {
    const counts = types.get(type) ?? { correct: 0, predicted: 0, wanted: 0 }
    types.set(type, counts)
    return counts
  }
  let tokens = 0
  let rightTokens = 0
  const rows = predictions.map((tags, row) => {
    const gold = references[row]
    if (tags.length !== gold.length)
      throw wrong(`${tags.length} predicted tags for ${gold.length} tokens`, `entityF1, row ${row}`)
    if (strict) {
      refuseForeignTags(gold, `entityF1, reference row ${row}`)
      refuseForeignTags(tags, `entityF1, predicted row ${row}`)
    }
    tokens += gold.length
    rightTokens += gold.filter((tag, i) => tag === tags[i]).length
    const { predicted, wanted, correct } = matchEntities(tags, gold, strict)
    for (const { type } of wanted) countsOf(type).wanted++
    for (const { type } of predicted) countsOf(type).predicted++
    for (const { type } of correct) countsOf(type).correct++
    return wanted.length + predicted.length === 0 ? 1 : (2 * correct.length) / (wanted.length + predicted.length)
  })
  const names = [...types.keys()].sort()
  const { classes, ...means } = averages(names.map(countsOf))
  return {
    ...means,
    types: Object.fromEntries(names.map((name, i) => [name, classes[i]])),
    rows,
    tokenAccuracy: tokens === 0 ? 1 : rightTokens / tokens,
  }
}
