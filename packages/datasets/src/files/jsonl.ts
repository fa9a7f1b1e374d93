import type { Row, RowChunk } from '../rows'
import { readBytes } from './bytes'
import { LineRows } from './line-rows'
import { readLines } from './lines'
import type { ReadContext } from './reader'

/** JSON lines: an object a line; blank lines are passed over. */
export async function* readJsonl(path: string, context: ReadContext): AsyncGenerator<RowChunk<Row>> {
  for await (const { lines, first } of readLines(readBytes(path, context.file), context.file)) {
    const rows = new LineRows(context)
    for (const [i, line] of lines.entries()) if (line.trim().length > 0) rows.parse(line, first + i)
    yield rows.chunk()
  }
}
