import { escapeHtml, plainText } from '@tunesmith/core'
import type { InspectedToken, Inspection } from './inspect'

const RESET = '\u001b[0m'
const STYLES = { trained: '\u001b[32m', context: '\u001b[90m', trainedSpecial: '\u001b[1;35m', special: '\u001b[2;35m' }

function styleOf({ trained, special }: InspectedToken): keyof typeof STYLES {
  if (special) return trained ? 'trainedSpecial' : 'special'
  return trained ? 'trained' : 'context'
}

/** Makes white space visible and takes the power out of control characters. */
function visible(text: string): string {
  return text
    .replaceAll('\r', '␍')
    .replaceAll('\t', '⇥\t')
    .replaceAll('\n', '⏎\n')
    .replace(/[^\P{Cc}\n\t]/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

export interface RenderTerminalOptions {
  /** Colours (ANSI). Without them, trained text stands between `[` and `]`. Default true. */
  color?: boolean
}

/** An inspection for a terminal: trained tokens green, context grey, special tokens magenta, then the warnings. */
export function renderTerminal(inspection: Inspection, { color = true }: RenderTerminalOptions = {}): string {
  let out = ''
  let open = false
  for (const token of inspection.tokens) {
    if (color)
      out +=
        STYLES[styleOf(token)] + visible(token.text).replaceAll('\n', `${RESET}\n${STYLES[styleOf(token)]}`) + RESET
    else {
      if (token.trained !== open) out += token.trained ? '[' : ']'
      open = token.trained
      out += visible(token.text)
    }
  }
  if (open) out += ']'
  const { tokens, trained, warnings, endOfTurn } = inspection
  const lines = [out, '', `${tokens.length} tokens, ${trained} trained`, ...(endOfTurn ? [plainText(endOfTurn)] : [])]
  for (const { message, remedy } of warnings) {
    const head = color ? `\u001b[33mwarning:${RESET}` : 'warning:'
    lines.push(`${head} ${plainText(`${message}. ${remedy}`)}.`)
  }
  return lines.join('\n')
}

const CSS = `body{font:15px/1.6 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:14px/1.8 ui-monospace,monospace;border:1px solid #ddd;border-radius:6px;padding:1rem}
.t{border-radius:3px}.trained{background:#c8f0cf}.context{color:#777}.special,.trainedSpecial{color:#a02090}
.trainedSpecial{background:#c8f0cf;font-weight:600}.warning{background:#fff3cd;border-left:4px solid #e0a800;padding:.4rem .8rem;margin:.4rem 0}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{border-color:#444}.trained,.trainedSpecial{background:#1f4d2a}
.context{color:#999}.special,.trainedSpecial{color:#e08fd6}.warning{background:#4a3c10}}`

/** Inspections as one HTML page that needs nothing else; hover over a token for its id. */
export function renderHtml(inspections: Inspection | readonly Inspection[], title = 'Inspected rows'): string {
  const list = Array.isArray(inspections) ? (inspections as readonly Inspection[]) : [inspections as Inspection]
  const sections = list.map(({ tokens, trained, warnings, endOfTurn }, i) => {
    const spans = tokens.map((token) => {
      const hint = `${token.id}, ${token.trained ? 'trained' : 'context'}${token.special ? ', special' : ''}`
      return `<span class="t ${styleOf(token)}" title="${hint}">${escapeHtml(visible(token.text))}</span>`
    })
    const notes = warnings.map(
      ({ message, remedy }) => `<p class="warning">${escapeHtml(message)}. ${escapeHtml(remedy)}.</p>`,
    )
    return `<h2>Row ${i + 1}: ${tokens.length} tokens, ${trained} trained</h2>\n${endOfTurn ? `<p>${escapeHtml(endOfTurn)}</p>\n` : ''}${notes.join('\n')}\n<pre>${spans.join('')}</pre>`
  })
  const legend =
    '<p><span class="t trained">trained</span> <span class="t context">context</span> <span class="t special">special</span> <span class="t trainedSpecial">special, trained</span></p>'
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title><style>${CSS}</style></head>\n<body><h1>${escapeHtml(title)}</h1>\n${legend}\n${sections.join('\n')}\n</body></html>\n`
}
