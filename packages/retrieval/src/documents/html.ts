import { Parser } from 'htmlparser2'

const SILENT = new Set(['script', 'style', 'noscript', 'template', 'svg', 'math', 'head', 'iframe', 'object'])
const BLOCKS = new Set(
  (
    'address article aside blockquote dd details dialog div dl dt fieldset figcaption figure footer form header hr li main nav ol p pre section ' +
    'summary table tbody tfoot thead tr ul'
  ).split(' '),
)
const HEADING = /^h([1-6])$/

export interface ReadPage {
  text: string
  title: string
}

/** The readable text of a page: headings as Markdown's `#`, blocks as paragraphs, no scripts and styles. Any input gives a text. */
export function htmlText(html: string): ReadPage {
  let text = ''
  let title = ''
  let silent = 0
  let inTitle = false
  let pre = 0
  const end = (breaks: number) => {
    const have = /\n*$/.exec(text.slice(-2))![0].length
    if (text !== '') text = `${text.trimEnd()}${'\n'.repeat(Math.max(have, breaks))}`
  }
  const parser = new Parser(
    {
      onopentag(name) {
        if (name === 'title' && title === '') inTitle = true
        if (SILENT.has(name)) silent++
        if (silent > 0) return
        const heading = HEADING.exec(name)
        if (heading) {
          end(2)
          text += `${'#'.repeat(Number(heading[1]))} `
        } else if (name === 'br') text += '\n'
        else if (name === 'td' || name === 'th') text += /[^\n]$/.test(text) ? ' ' : ''
        else if (BLOCKS.has(name)) end(name === 'li' || name === 'tr' ? 1 : 2)
        if (name === 'pre') pre++
      },
      ontext(data) {
        if (inTitle) title += data
        else if (silent === 0) text += pre > 0 ? data : spaced(data, text)
      },
      onclosetag(name) {
        if (name === 'title') inTitle = false
        if (name === 'pre' && silent === 0) pre = Math.max(0, pre - 1)
        if (SILENT.has(name)) silent = Math.max(0, silent - 1)
        else if (silent === 0 && (BLOCKS.has(name) || HEADING.test(name))) end(name === 'li' || name === 'tr' ? 1 : 2)
      },
    },
    { decodeEntities: true },
  )
  parser.end(html)
  return { text: text.trim(), title: title.replace(/\s+/g, ' ').trim() }
}

/** White space as a browser shows it: one blank, none at the beginning of a line. */
function spaced(data: string, before: string): string {
  const text = data.replace(/\s+/g, ' ')
  return before === '' || /\s$/.test(before.slice(-1)) ? text.trimStart() : text
}
