import { invalidData } from '@tunesmith/core'
import { bootstrapInterval, pairedRandomization } from '../significance/bootstrap'

/** Who was preferred over all rows. */
export interface Preference {
  systems: [string, string]
  /** Per row id the mean vote: 1 for the second system, -1 for the first, 0 for a tie. */
  rows: { id: string; score: number; winner: string; votes: number }[]
  /** Per row id the system that won, or `tie`: what {@link agreement} compares with another judge's. */
  decisions: Record<string, string>
  /** Rows won, by system, and tied: a row is won by the majority of its votes. */
  wins: Record<string, number>
  ties: number
  /** Share of rows the second system wins, ties counting half, with a 95% interval. */
  winRate: number
  low: number
  high: number
  /** Two-sided, by randomly swapping the systems in each row. */
  pValue: number
}

/** Votes for the second system less those for the first. */
export function pointsOf(choices: readonly (string | null)[], [first, second]: [string, string]): number {
  return choices.reduce((sum, choice) => sum + (choice === second ? 1 : choice === first ? -1 : 0), 0)
}

/** @param votes by row id: the preferred system of each vote, or `tie`. */
export function summarizePreferences(
  systems: [string, string],
  votes: ReadonlyMap<string, readonly string[]>,
  { samples, seed }: { samples: number; seed: number },
): Preference {
  const rows = [...votes].map(([id, choices]) => {
    const points = pointsOf(choices, systems)
    const winner = points > 0 ? systems[1] : points < 0 ? systems[0] : 'tie'
    return { id, score: points / choices.length, winner, votes: choices.length }
  })
  if (rows.length === 0) {
    throw invalidData('There is no vote to count', {
      where: 'preferences',
      remedy: 'Fill in the column "choice", or see the failures of the judge',
    })
  }
  const won = rows.map(({ winner }) => (winner === systems[1] ? 1 : winner === systems[0] ? 0 : 0.5))
  const { mean, low, high } = bootstrapInterval(won, { samples, seed })
  const { pValue } = pairedRandomization(
    won.map((x) => 1 - x),
    won,
    { samples, seed },
  )
  const count = (name: string) => rows.filter(({ winner }) => winner === name).length
  return {
    systems,
    rows,
    decisions: Object.fromEntries(rows.map(({ id, winner }) => [id, winner])),
    wins: { [systems[0]]: count(systems[0]), [systems[1]]: count(systems[1]) },
    ties: count('tie'),
    winRate: mean,
    low,
    high,
    pValue,
  }
}
