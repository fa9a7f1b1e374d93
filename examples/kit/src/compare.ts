import type { Report } from '@tunesmith/eval-metrics'
import { intervalChart } from './charts'
import { pText, range } from './figures'
import { showSvg, showTable } from './show'

/** A score that no row has is shown as 0; an interval that is not there, as the score itself. */
function known({ score, low, high }: { score: number | null; low: number | null; high: number | null }) {
  const at = score ?? 0
  return { score: at, low: low ?? at, high: high ?? at }
}

/**
 * The scores of a report: a table with intervals, differences from the baseline and corrected p values, and a chart of the
 * metrics between 0 and 1.
 *
 * @param only metrics to show, by name; default all.
 */
export function showScores(
  { summary }: Pick<Report, 'summary'>,
  { file, only, title = 'Before and after' }: { file: string; only?: readonly string[]; title?: string },
): void {
  const metrics = summary.metrics.filter(({ name }) => only?.includes(name) ?? true)
  // Corpus scores such as BLEU go to 100.
  const scale = (name: string) => (/^(bleu|chrf|ter)/i.test(name) ? 100 : 1)
  const rows = metrics.flatMap(({ name, systems }) => {
    const digits = scale(name) === 100 ? 1 : 3
    return systems.map(({ system, comparison, ...values }) => [
      name,
      system,
      range(known(values), digits),
      comparison
        ? `${comparison.difference >= 0 ? '+' : ''}${comparison.difference.toFixed(digits)}, ${pText(comparison.correctedPValue)}`
        : 'baseline',
    ])
  })
  showTable(['metric', 'system', 'score [95% interval]', 'difference from the baseline'], rows)
  showSvg(
    intervalChart({
      title,
      systems: summary.systems,
      groups: metrics.map(({ name, systems }) => ({
        name: scale(name) === 100 ? `${name} / 100` : name,
        bars: systems.map((system) => {
          const { score, low, high } = known(system)
          return { score: score / scale(name), low: low / scale(name), high: high / scale(name) }
        }),
      })),
    }),
    file,
  )
}
