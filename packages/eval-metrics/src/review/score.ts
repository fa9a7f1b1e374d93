import { invalidData, invalidFile, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { type Preference, summarizePreferences } from '../judge/preference'
import { resampleSchema } from '../significance/bootstrap'
import { agreement } from './agreement'
import { parseCsv } from './csv'
import type { ReviewKey } from './sheet'

const schema = z.strictObject({
  /** The `key` that came with the sheet. */
  key: z.string(),
  /** Filled-in sheets as CSV text, one per reviewer. */
  sheets: z.array(z.string()).min(1),
  ...resampleSchema.pick({ samples: true, seed: true }).shape,
})
const keySchema = z.strictObject({ systems: z.tuple([z.string(), z.string()]), left: z.record(z.string(), z.string()) })

export interface ReviewResult extends Preference {
  /** Per reviewer and row id, the preferred system, or `tie`. */
  reviewers: Record<string, string>[]
  /** Mean Cohen's kappa over pairs of reviewers, on the rows both decided; null for a single reviewer. */
  kappa: number | null
}

function readKey(text: string): ReviewKey {
  try {
    return keySchema.parse(JSON.parse(text))
  } catch (cause) {
    throw invalidFile('The review key cannot be read', {
      where: 'scoreReview',
      remedy: 'Pass the key that blindReview returned with this sheet',
      cause,
    })
  }
}

function readSheet(text: string, { systems, left }: ReviewKey, where: string): Record<string, string> {
  const choices: Record<string, string> = {}
  parseCsv(text).forEach((line, i) => {
    const fail = (what: string, remedy: string) => {
      throw invalidData(what, { where: `${where}, line ${i + 2}`, remedy })
    }
    const choice = (line.choice ?? '').trim().toLowerCase()
    if (choice === '') return
    // A formula-like id came with an apostrophe in front, which spreadsheets may or may not keep.
    const id = Object.hasOwn(left, line.id) ? line.id : (line.id ?? '').replace(/^'/, '')
    if (!Object.hasOwn(left, id)) fail(`The id "${line.id}" is not in the key`, 'Score each sheet with its own key')
    const onRight = systems[0] === left[id] ? systems[1] : systems[0]
    const chosen = { left: left[id], l: left[id], right: onRight, r: onRight, tie: 'tie', t: 'tie' }[choice]
    if (chosen === undefined) fail(`The choice "${choice}" is none of left, right and tie`, 'Correct it in the sheet')
    else choices[id] = chosen
  })
  return choices
}

/**
 * Scores filled-in blind review sheets: who was preferred, how surely, and how far the reviewers agree.
 *
 * @throws {TunesmithError} `invalid_file` for an unreadable key; `invalid_data` for an unknown id or choice, naming the
 *   line, or when no row has a choice.
 */
export function scoreReview(options: z.input<typeof schema>): ReviewResult {
  const { key: keyText, sheets, samples, seed } = parseOptions(schema, options, 'scoreReview')
  const key = readKey(keyText)
  const reviewers = sheets.map((sheet, i) => readSheet(sheet, key, `scoreReview, sheet ${i + 1}`))
  const votes = new Map<string, string[]>()
  for (const choices of reviewers)
    for (const [id, choice] of Object.entries(choices)) votes.set(id, [...(votes.get(id) ?? []), choice])
  const kappas: number[] = []
  for (let a = 0; a < reviewers.length; a++)
    for (let b = a + 1; b < reviewers.length; b++) {
      const both = agreement({ first: reviewers[a], second: reviewers[b] })
      if (both.rows > 0 && Number.isFinite(both.kappa)) kappas.push(both.kappa)
    }
  return {
    ...summarizePreferences(key.systems, votes, { samples, seed }),
    reviewers,
    kappa: kappas.length === 0 ? null : kappas.reduce((sum, x) => sum + x, 0) / kappas.length,
  }
}
