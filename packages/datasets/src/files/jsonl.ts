import type { Row, RowChunk } from '../rows'
import { readBytes } from './bytes'
import { JsonRows } from './json-rows'
import { LineRows } from './line-rows'
import { readLines } from './lines'
import type { ReadContext } from './reader'

/** JSON lines, with what {@link JsonRows} allows; blank lines are passed over. */
export async function* readJsonl(path: string, context: ReadContext): AsyncGenerator<RowChunk<Row>> {
  const json = new JsonRows()
  for await (const { lines, first } of readLines(readBytes(path, context.file), context.file)) {
    const rows = new LineRows(context)
    for (const [i, line] of lines.entries()) json.push(line, first + i, rows)
    yield rows.chunk()
  }
  const rows = new LineRows(context)
  json.end(rows)
  yield rows.chunk()
}
