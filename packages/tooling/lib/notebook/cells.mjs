/**
 * A notebook is a TypeScript file in the "percent" form that VS Code and Jupytext know: `// %% [markdown]` begins prose,
 * written as line comments; `// %%` begins code. Cells run top to bottom in one module, as in any script.
 */

const MARKER = /^\/\/ %%(?:\s+\[(\w+)\])?\s*(.*)$/

/**
 * @param {string} source
 * @returns {{ kind: 'code' | 'markdown', title: string, line: number, text: string }[]} `line` is the marker's, from 1;
 *   lines before the first marker make a code cell of their own, if there is anything in them
 */
export function parseCells(source) {
  const cells = []
  let cell = { kind: 'code', title: '', line: 0, lines: [] }
  const close = () => {
    const text = (cell.kind === 'markdown' ? cell.lines.map(uncomment) : cell.lines).join('\n')
    const trimmed = text.replace(/^(?:[ \t]*\n)+|\s+$/g, '')
    if (trimmed !== '' || cell.line > 0)
      cells.push({ kind: cell.kind, title: cell.title, line: cell.line, text: trimmed })
  }
  source.split('\n').forEach((line, i) => {
    const marker = MARKER.exec(line)
    if (!marker) {
      cell.lines.push(line)
      return
    }
    close()
    const [, kind = 'code', title] = marker
    if (kind !== 'markdown' && kind !== 'code')
      throw new Error(`line ${i + 1}: a cell is [markdown] or code, not [${kind}]`)
    cell = { kind, title, line: i + 1, lines: [] }
  })
  close()
  return cells
}

function uncomment(line) {
  if (/^\s*$/.test(line)) return ''
  const text = /^\/\/ ?(.*)$/.exec(line)
  if (!text) throw new Error(`"${line.slice(0, 60)}" stands in a markdown cell but is no comment`)
  return text[1]
}

/**
 * The same program, telling `globalThis.__notebook` which cell runs. Calls take the place of the marker lines, so that
 * line numbers in errors stay true.
 */
export function instrument(source) {
  const lines = source.split('\n')
  parseCells(source).forEach((cell, i) => {
    if (cell.line > 0 && cell.kind === 'code') lines[cell.line - 1] = `;globalThis.__notebook?.enter(${i});`
  })
  return lines.join('\n')
}
