import { createHash } from 'node:crypto'
import { escapeHtml, parseOptions, Random } from '@tunesmith/core'
import { z } from 'zod'
import { csvText } from '../report/escape'
import { htmlPage } from '../report/html'
import { type EvalRow, rowSchema, twoSystems } from '../report/types'

const schema = z.strictObject({
  rows: z.array(rowSchema).min(1),
  /** The two systems to compare; default the first row's first two. */
  systems: z.tuple([z.string(), z.string()]).optional(),
  /** Decides which side each system stands on and the order of the rows. Keep it from the reviewers. Default 12345. */
  seed: z.int().min(0).default(12345),
  /** Review only this many rows, drawn at random. */
  limit: z.int().min(1).optional(),
  title: z.string().default('Blind review'),
  /** What the reviewers are to decide by. */
  question: z.string().default('Which answer is better?'),
  /** Show the wanted answer. Default true. */
  showReference: z.boolean().default(true),
})
export type BlindReviewOptions = z.input<typeof schema>

export interface BlindReview {
  /** To fill in with a spreadsheet: column `choice` takes left, right or tie. */
  csv: string
  /** To fill in with a browser; saves the choices as CSV. Nothing leaves the reviewer's computer by itself. */
  html: string
  /** Which system stood where, as JSON. Keep it: `scoreReview` needs it, and reviewers must not see it. */
  key: string
}

interface Item {
  row: EvalRow
  left: string
  right: string
}

export interface ReviewKey {
  systems: [string, string]
  /** By row id. */
  left: Record<string, string>
}

const COLUMNS = ['id', 'prompt', 'reference', 'left', 'right', 'choice', 'comment']

function toCsv(items: readonly Item[], showReference: boolean): string {
  const lines = items.map(({ row, left, right }) => [
    String(row.id),
    row.prompt,
    showReference && row.reference !== undefined ? [row.reference].flat().join('\n') : '',
    row.outputs[left],
    row.outputs[right],
    '',
    '',
  ])
  return csvText([COLUMNS, ...lines])
}

// The only script in the page; the policy lets nothing else run, so outputs with markup stay text.
const SCRIPT = `
document.getElementById('save').onclick = () => {
  const quote = (text) => '"' + text.replace(/"/g, '""') + '"'
  const lines = ['id,choice,comment']
  for (const row of document.querySelectorAll('fieldset')) {
    const choice = row.querySelector('input:checked')
    lines.push([quote(row.dataset.id), choice ? choice.value : '', quote(row.querySelector('textarea').value)].join(','))
  }
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([lines.join('\\r\\n') + '\\r\\n'], { type: 'text/csv' }))
  link.download = 'review.csv'
  link.click()
}
`

function toHtml(items: readonly Item[], title: string, question: string, showReference: boolean): string {
  const hash = createHash('sha256').update(SCRIPT).digest('base64')
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'`
  const block = (name: string, text: string) =>
    `<div class="output"><h4>${name}</h4><pre>${text === '' ? '<em>empty</em>' : escapeHtml(text)}</pre></div>`
  const body = items.map(({ row, left, right }, i) => {
    const context = [
      ...(row.prompt === undefined ? [] : [block('prompt', row.prompt)]),
      ...(showReference && row.reference !== undefined
        ? [row.reference].flat().map((text) => block('reference', text))
        : []),
    ].join('')
    const choice = (value: string, label: string) =>
      `<label><input type="radio" name="c${i}" value="${value}"> ${label}</label>`
    return (
      `<fieldset data-id="${escapeHtml(String(row.id))}"><legend>${i + 1} of ${items.length}</legend>${context}` +
      `<div class="outputs">${block('left', row.outputs[left])}${block('right', row.outputs[right])}</div>` +
      `<h4>${escapeHtml(question)}</h4>${choice('left', 'left')}${choice('tie', 'equally good or bad')}${choice('right', 'right')}` +
      `<label>comment <textarea rows="2"></textarea></label></fieldset>`
    )
  })
  return htmlPage(
    title,
    `<header><h1>${escapeHtml(title)}</h1>` +
      '<p>The sides are shuffled anew for every row. Rows without a choice are left out.</p></header>\n' +
      `<main>${body.join('\n')}<p><button id="save" type="button">Save my choices</button></p></main>` +
      `<script>${SCRIPT}</script>`,
    policy,
  )
}

/**
 * A review sheet for people that hides which system wrote which answer.
 *
 * @throws {TunesmithError} `invalid_data` when a row lacks one of the two outputs or ids repeat.
 */
export function blindReview(options: BlindReviewOptions): BlindReview {
  const parsed = parseOptions(schema, options, 'blindReview')
  const { rows, seed, limit, title, question, showReference } = parsed
  const [first, second] = twoSystems(parsed, 'blindReview')
  const random = new Random(seed, 'blind review')
  const chosen = random.shuffle([...rows]).slice(0, limit ?? rows.length)
  const items = chosen.map((row): Item => {
    const swap = random.int(2) === 1
    return { row, left: swap ? second : first, right: swap ? first : second }
  })
  const key: ReviewKey = {
    systems: [first, second],
    left: Object.fromEntries(items.map(({ row, left }) => [String(row.id), left])),
  }
  return {
    csv: toCsv(items, showReference),
    html: toHtml(items, title, question, showReference),
    key: `${JSON.stringify(key, null, 2)}\n`,
  }
}
