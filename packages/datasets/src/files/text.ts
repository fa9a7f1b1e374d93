import type { Row, RowChunk } from '../rows'
import { readBytes } from './bytes'
import { LineRows } from './line-rows'
import { readLines } from './lines'
import type { ReadContext } from './reader'

/** Plain text: a row `{ text }` for each line (empty ones too), paragraph, or file. */
export async function* readText(path: string, context: ReadContext): AsyncGenerator<RowChunk<Row>> {
  const { file } = context
  const unit = context.options.textUnit
  let pending: string[] = []
  let start = 1
  for await (const { lines, first } of readLines(readBytes(path, file), file)) {
    if (unit === 'line') {
      yield { rows: lines.map((text) => ({ text })), where: (index) => `${file}:${first + index}` }
      continue
    }
    const rows = new LineRows(context)
    lines.forEach((line, i) => {
      if (unit === 'file' || line.trim() !== '') {
        if (pending.length === 0) start = first + i
        pending.push(line)
      } else if (pending.length > 0) {
        rows.push({ text: pending.join('\n') }, start)
        pending = []
      }
    })
    if (rows.length > 0) yield rows.chunk()
  }
  const [text, line] = [pending.join('\n'), start]
  if (pending.length > 0) yield { rows: [{ text }], where: () => (unit === 'file' ? file : `${file}:${line}`) }
}
