import { join } from 'node:path'
import { escapeHtml, invalidData, invalidOptions, writeFileAtomic } from '@tunesmith/core'
import {
  bootstrapInterval,
  compareReport,
  type Interval,
  type MetricResult,
  type PairedDifference,
  pairedBootstrap,
  type Report,
} from '@tunesmith/eval-metrics'
import type { RetrievalIndex } from '../index/retrieval-index'
import type { LabelledQuestion } from '../search/fit'
import type { SearchMode, SearchOptions } from '../search/search'
import { ndcgAt, precisionAt, recallAt, reciprocalRank } from './ranking-scores'

export interface EvaluateRetrievalOptions {
  index: RetrievalIndex
  questions: readonly LabelledQuestion[]
  /** What is compared, by name; each against the first. Default `bm25`, and `dense` and `hybrid` where the index is open with its embedder. */
  systems?: Readonly<Record<string, Omit<SearchOptions, 'k' | 'perDocument' | 'explain'>>>
  /** Recall and precision are counted among so many documents; reciprocal rank and nDCG among the most of them. Default 1, 5, 10. */
  k?: readonly number[]
  title?: string
  /** Where `report.html`, `.json`, `.csv` and `.md` go. Default nowhere. */
  outputFolder?: string
}

export interface SystemScores {
  /** Means with their bootstrap intervals, by metric: `recall@1`, `MRR@10`, ... */
  scores: Record<string, Interval>
  /** Milliseconds of a search: median, 95th and 99th percentile. */
  latency: { p50: number; p95: number; p99: number }
}

export interface RetrievalEvaluation {
  systems: Record<string, SystemScores>
  /** Reciprocal rank of each further system minus the first one's, on the same questions. */
  differences: Record<string, PairedDifference>
  /** A sentence for each further system: better, worse, or not to be told apart. */
  verdicts: string[]
  report: Report
  files: string[]
}

/**
 * Searches for questions whose documents are known, in several ways, and compares them.
 *
 * @throws {TunesmithError} `invalid_data` for no questions, or one without documents.
 */
export async function evaluateRetrieval(options: EvaluateRetrievalOptions): Promise<RetrievalEvaluation> {
  const { index, questions, k = [1, 5, 10], title = 'Retrieval', outputFolder } = options
  const modes: SearchMode[] = index.embedder ? ['bm25', 'dense', 'hybrid'] : ['bm25']
  const systems = options.systems ?? Object.fromEntries(modes.map((mode) => [mode, { mode }]))
  const names = Object.keys(systems)
  if (questions.length === 0) throw invalidData('There is no question', { where: 'evaluateRetrieval' })
  if (names.length === 0 || k.length === 0 || k.some((each) => !Number.isInteger(each) || each < 1))
    throw invalidOptions('Give at least one system, and numbers of documents from 1', { where: 'evaluateRetrieval' })
  questions.forEach(({ documents }, row) => {
    if (documents.length === 0) throw invalidData('The question has no documents', { where: `question ${row}` })
  })
  const most = Math.max(...k)
  const outputs: Record<string, string>[] = questions.map(() => ({}))
  const scores: Record<string, Record<string, number[]>> = {}
  const results: Record<string, SystemScores> = {}
  for (const name of names) {
    const times: number[] = []
    for (const [row, { question, documents }] of questions.entries()) {
      const began = performance.now()
      const passages = await index.search(question, { ...systems[name], k: most, perDocument: true })
      times.push(performance.now() - began)
      const found = passages.map(({ document }) => document)
      const relevant = new Set(documents)
      outputs[row]![name] = passages
        .map(
          ({ document, text }, i) => `${i + 1}. ${document}${relevant.has(document) ? ' ✓' : ''} ${text.slice(0, 120)}`,
        )
        .join('\n')
      const values: Record<string, number> = {
        [`MRR@${most}`]: reciprocalRank(found, relevant),
        [`nDCG@${most}`]: ndcgAt(found, relevant, most),
        ...Object.fromEntries(k.map((each) => [`recall@${each}`, recallAt(found, relevant, each)])),
        ...Object.fromEntries(k.map((each) => [`precision@${each}`, precisionAt(found, relevant, each)])),
      }
      for (const [metric, value] of Object.entries(values)) {
        scores[metric] ??= {}
        scores[metric][name] ??= []
        scores[metric][name].push(value)
      }
    }
    results[name] = {
      scores: Object.fromEntries(
        Object.entries(scores).map(([metric, bySystem]) => [metric, bootstrapInterval(bySystem[name]!)]),
      ),
      latency: percentiles(times),
    }
  }
  const mrr = scores[`MRR@${most}`]!
  const [first, ...others] = names as [string, ...string[]]
  const differences = Object.fromEntries(others.map((name) => [name, pairedBootstrap(mrr[first]!, mrr[name]!)]))
  const verdicts = others.map((name) => verdict(name, first, differences[name]!))
  const report = compareReport({
    rows: questions.map(({ question, documents }, row) => ({
      ...{ id: row, prompt: question, reference: documents.join(', '), outputs: outputs[row]! },
    })),
    metrics: Object.entries(scores).map(([name, bySystem]): MetricResult => ({ name, scores: bySystem })),
    systems: names,
    sections: [latencySection(results), ...(verdicts.length > 0 ? [verdictSection(verdicts)] : [])],
    title,
    subtitle: `${questions.length} questions among ${index.size.documents} documents in ${index.size.chunks} chunks`,
  })
  const files = outputFolder === undefined ? [] : await writeReport(report, outputFolder)
  return { systems: results, differences, verdicts, report, files }
}

function percentiles(times: readonly number[]): SystemScores['latency'] {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

function verdict(name: string, first: string, { difference, low, high }: PairedDifference): string {
  const by = `reciprocal rank ${difference >= 0 ? '+' : ''}${difference.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`
  if (low > 0) return `${name} finds more than ${first}: ${by}`
  if (high < 0) return `${name} finds less than ${first}: ${by}`
  return `${name} cannot be told from ${first} on these questions: ${by}`
}

function latencySection(results: Record<string, SystemScores>) {
  const rows = Object.entries(results).map(([name, { latency }]) => [
    name,
    ...[latency.p50, latency.p95, latency.p99].map((ms) => ms.toFixed(1)),
  ])
  const header = ['system', 'median ms', 'p95 ms', 'p99 ms']
  // Names of systems are the caller's own; they are escaped like any text.
  const cells = (row: string[], tag: string) =>
    `<tr>${row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`
  return {
    title: 'Time of a search',
    html: `<table><thead>${cells(header, 'th')}</thead><tbody>${rows.map((row) => cells(row, 'td')).join('')}</tbody></table>`,
    markdown: [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n'),
  }
}

const verdictSection = (verdicts: readonly string[]) => ({
  title: 'Which is better',
  html: `<ul>${verdicts.map((each) => `<li>${escapeHtml(each)}</li>`).join('')}</ul>`,
  markdown: verdicts.map((each) => `- ${each}`).join('\n'),
})

async function writeReport({ html, json, csv, markdown }: Report, folder: string): Promise<string[]> {
  const files = Object.entries({ html, json, csv, md: markdown })
  for (const [kind, text] of files) await writeFileAtomic(join(folder, `report.${kind}`), text)
  return files.map(([kind]) => join(folder, `report.${kind}`))
}
