/** A script and what it printed, as one HTML page: nothing to load, no scripts. */
import { Marked } from 'marked'
import { parseCells } from './cells.mjs'
import { sourceHash } from './examples.mjs'
import { escapeHtml, highlight } from './highlight.mjs'
import { STYLE } from './style.mjs'

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

// Prose is ours, but a stray `<` in it must not become markup.
const marked = new Marked({ gfm: true })
marked.use({ renderer: { html: ({ text }) => escapeHtml(text) } })

/** A terminal rewrites lines with `\r` and erases them with escape codes; a page shows what was left in the end. */
export const settle = (text) =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal codes are control characters
    .replace(/\u001b\[[0-9;]*[A-Za-z]/g, '')
    .split('\n')
    .map((line) => line.slice(line.replace(/\r+$/, '').lastIndexOf('\r') + 1).trimEnd())
    .join('\n')
    .replace(/^\n+|\s+$/g, '')

/** Neighbouring chunks of one stream are one output. */
function join(outputs) {
  const joined = []
  for (const output of outputs) {
    const last = joined.at(-1)
    if (last && last.kind === output.kind && output.text !== undefined) last.text += output.text
    else joined.push({ ...output })
  }
  return joined
}

const isNumber = (cell) => /^[-+−±]?[\d.,]+(?:e-?\d+)?\s?(?:%|s|MB|GB|kB|ms)?$|^–?$/.test(cell.trim())

/** Several columns of text share the width evenly; otherwise one long word would starve the others. */
const isWide = (rows) => {
  const long = (cell) => cell.length > 60 || cell.includes('\n')
  return (rows[0] ?? []).filter((_, c) => rows.some((row) => long(row[c] ?? ''))).length > 1
}

function table({ header, rows, caption }) {
  const numeric = header.map((_, c) => rows.length > 0 && rows.every((row) => isNumber(row[c] ?? '')))
  const cell = (tag) => (text, c) => {
    const content = text.includes('\n') ? `<pre>${escapeHtml(text)}</pre>` : escapeHtml(text)
    return `<${tag}${numeric[c] ? ' class="n"' : ''}>${content}</${tag}>`
  }
  const title = caption ? `<caption>${escapeHtml(caption)}</caption>` : ''
  return (
    `<div class="scroll"><table${isWide(rows) ? ' class="wide"' : ''}>${title}<thead><tr>${header.map(cell('th')).join('')}</tr></thead>` +
    `<tbody>${rows.map((row) => `<tr>${row.map(cell('td')).join('')}</tr>`).join('')}</tbody></table></div>`
  )
}

/** Lines that only say how far something got, as `createProgress` writes them without a terminal. */
const PROGRESS = /^[\w -]+: \d+\/\d+ \S*<\S+/

const RENDER = {
  stdout: ({ text }) => (settle(text) ? `<pre class="text">${escapeHtml(settle(text))}</pre>` : ''),
  stderr({ text }) {
    const all = settle(text)
    const log = all.split('\n').every((line) => PROGRESS.test(line)) ? '' : all
    const lines = log.split('\n').length
    const label = `log, ${lines} line${lines === 1 ? '' : 's'}`
    return log ? `<details class="log"><summary>${label}</summary><pre>${escapeHtml(log)}</pre></details>` : ''
  },
  table,
  svg: ({ svg }) => `<figure>${svg}</figure>`,
  html: ({ html }) => `<div class="rich">${html}</div>`,
}

const IMPORTS = /^(?:import\b[^'"]*(['"])[^'"]+\1\n)+/

/** Code, with its imports folded away. */
function code(text) {
  const [imports = ''] = IMPORTS.exec(`${text}\n`) ?? []
  const rest = text.slice(imports.length).trimStart()
  const lines = (part) => `<pre><code>${highlight(part.trimEnd())}</code></pre>`
  const folded = imports ? `<details class="imports"><summary>imports</summary>${lines(imports)}</details>` : ''
  return `<div class="code">${folded}${rest ? lines(rest) : ''}</div>`
}

/**
 * @param {{ source: string, outputs: object[], command: string, facts?: string[] }} options `outputs` as recorder.mjs
 *   writes them; `command` made the page; `facts` say on what machine and when
 */
export function renderNotebook({ source, outputs, command, facts = [] }) {
  const cells = parseCells(source)
  const title =
    cells.map(({ kind, text }) => kind === 'markdown' && /^# (.+)$/m.exec(text)?.[1]).find(Boolean) || 'Notebook'
  const body = cells.map(({ kind, text }, i) => {
    const made = join(outputs.filter(({ cell }) => cell === i))
      .map((output) => RENDER[output.kind](output))
      .filter(Boolean)
    const shown = made.length > 0 ? `<div class="out">${made.join('\n')}</div>` : ''
    if (kind === 'markdown') return `<div class="prose">${marked.parse(text)}</div>${shown}`
    return `${text ? code(text) : ''}${shown}`
  })
  const meta = [`Rendered with <code>${escapeHtml(command)}</code>`, ...facts.map(escapeHtml)].join(' · ')
  return (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">' +
    `<meta http-equiv="Content-Security-Policy" content="${POLICY}">` +
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">' +
    `<meta name="source-sha256" content="${sourceHash(source)}">` +
    `<title>${escapeHtml(title)}</title><style>${STYLE}</style></head>\n<body>\n` +
    `${body.join('\n')}\n<footer>${meta}</footer>\n</body></html>\n`
  )
}
