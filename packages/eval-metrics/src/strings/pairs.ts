import { invalidData } from '@tunesmith/core'
import { z } from 'zod'

/** What every reference-based metric takes. */
export const pairsShape = {
  /** One text per row. */
  predictions: z.array(z.string()),
  /** Per row one reference, or a list of alternatives; `null` alternatives are left out, as in sacrebleu's files. */
  references: z.array(z.union([z.string(), z.array(z.string().nullable())])),
}

/** What every metric of a single text takes. */
export const sentenceShape = {
  prediction: z.string(),
  /** One reference, or several of which the best counts. */
  reference: z.union([z.string(), z.array(z.string()).min(1)]),
}

export interface Pairs {
  predictions: string[]
  /** Row first: `references[row]` holds that row's alternatives, at least one. */
  references: string[][]
}

/**
 * Checks that predictions and references belong together.
 *
 * @throws {TunesmithError} `invalid_data` for no rows, different counts, or a row without any reference.
 */
export function readPairs(
  { predictions, references }: { predictions: string[]; references: (string | (string | null)[])[] },
  where: string,
): Pairs {
  if (predictions.length !== references.length) {
    throw invalidData(`${predictions.length} predictions but ${references.length} rows of references`, {
      where,
      remedy: 'Give one reference, or one list of references, per prediction',
    })
  }
  if (predictions.length === 0) {
    throw invalidData('There is nothing to score: no predictions', { where })
  }
  return {
    predictions,
    references: references.map((row, i) => {
      const texts = typeof row === 'string' ? [row] : row.filter((text) => text !== null)
      if (texts.length > 0) return texts
      throw invalidData('A row has no reference', {
        where: `${where}, row ${i}`,
        remedy: 'Leave the row out, or give the empty string if an empty answer is right',
      })
    }),
  }
}

/**
 * Turns sacrebleu's layout, one list per reference stream, into one list per row.
 *
 * @param streams `streams[stream][row]`; `null` where a stream has no reference for that row.
 * @throws {TunesmithError} `invalid_data` when the streams differ in length.
 */
export function referencesFromStreams(streams: readonly (readonly (string | null)[])[]): (string | null)[][] {
  const rows = streams[0]?.length ?? 0
  const odd = streams.findIndex((stream) => stream.length !== rows)
  if (odd !== -1) {
    throw invalidData(`Reference stream ${odd} has ${streams[odd].length} rows, the first has ${rows}`, {
      where: 'referencesFromStreams',
      remedy: 'Give null where a stream has no reference',
    })
  }
  return Array.from({ length: rows }, (_, row) => streams.map((stream) => stream[row]))
}
