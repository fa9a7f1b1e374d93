import { relative } from 'node:path'
import type { ComparisonScores, Score } from './compare'
import type { FineTuneResult } from './fine-tune'
import { preferenceRows } from './preferences'

const range = ({ score, low, high }: Score, digits: number) =>
  `${score.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`

/** Scores by the label they are shown under, and their decimals. */
const SHOWN: Record<string, [name: keyof ComparisonScores['base'], digits: number]> = {
  'ROUGE-1': ['rouge1', 3],
  'ROUGE-2': ['rouge2', 3],
  'ROUGE-L': ['rougeL', 3],
  BLEU: ['bleu', 1],
}

/** The scores of both models as a table. */
export function scoreTable({ metrics }: FineTuneResult): string {
  const { test } = metrics
  if (!test) return ''
  const rows = [
    ['', 'base', 'tuned', 'difference (95% interval)'],
    ...Object.entries(SHOWN).map(([label, [name, digits]]) => [
      label,
      ...[test.base, test.tuned, test.difference].map((scores) => range(scores[name], digits)),
    ]),
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** How often each model prefers the chosen answers of the held-out pairs; nothing without pairs. */
export function preferenceLines({ metrics: { preferences } }: FineTuneResult): string {
  if (!preferences) return ''
  const lines = preferenceRows(preferences).map(
    ([name, accuracy, margin]) => `  ${name}: ${accuracy}, margin ${margin}`,
  )
  return [`chosen answers more likely than rejected ones, of ${preferences.base.pairs} held-out pairs`, ...lines].join(
    '\n',
  )
}

const quote = (text: string) =>
  text
    .split('\n')
    .map((line) => `  │ ${line}`)
    .join('\n')

/** The first answers of both models under each other, with what was asked and what was wanted. */
export function sideBySide({ heldOut, answers }: FineTuneResult, count: number): string {
  if (!answers) return ''
  const cut = (text: string) => (text.length > 600 ? `${text.slice(0, 600)}…` : text)
  return heldOut
    .slice(0, count)
    .map(({ id, prompt, reference }, i) =>
      [
        `── ${id} ${'─'.repeat(Math.max(0, 60 - id.length))}`,
        `asked\n${quote(cut(prompt))}`,
        `wanted\n${quote(cut(reference))}`,
        `base model\n${quote(cut(answers.base[i]!))}`,
        `tuned model\n${quote(cut(answers.tuned[i]!))}`,
      ].join('\n'),
    )
    .join('\n\n')
}

/** What was written, and how to go on. */
export function closing({ saved, report, metrics }: FineTuneResult, outputDir: string): string {
  const short = (path: string) => relative(process.cwd(), path) || '.'
  return [
    `trained ${metrics.training.steps} steps in ${metrics.training.seconds.toFixed(0)} s (${metrics.training.tokensPerSecond.toFixed(0)} tokens/s), ${metrics.seconds.toFixed(0)} s in all`,
    `written to ${short(outputDir)}: ${report ? 'report.html, ' : ''}metrics.json, loss.svg, logs.jsonl`,
    `chat with it:  npx tunesmith chat ${short(saved)}`,
  ].join('\n')
}
