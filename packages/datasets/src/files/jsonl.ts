import { TunesmithError } from '@tunesmith/core'
import type { Row, RowChunk } from '../rows'
import { isObject, kindOf } from '../values'
import { readBytes } from './bytes'
import { readLines } from './lines'
import type { ReadContext } from './reader'

/** JSON lines: an object a line; blank lines are passed over. */
export async function* readJsonl(path: string, { file, badRow }: ReadContext): AsyncGenerator<RowChunk<Row>> {
  for await (const { lines, first } of readLines(readBytes(path, file), file)) {
    const rows: Row[] = []
    const numbers: number[] = []
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i]!
      if (line.length === 0 || line.trim().length === 0) continue
      let value: unknown
      try {
        value = JSON.parse(line)
      } catch (error) {
        badRow(invalidJson(error, `${file}:${first + i}`))
        continue
      }
      if (!isObject(value)) {
        badRow(
          new TunesmithError(`A row must be an object, not ${kindOf(value)}`, {
            code: 'invalid_data',
            where: `${file}:${first + i}`,
            remedy: 'Write each line as {"column": value, ...}',
          }),
        )
        continue
      }
      rows.push(value)
      numbers.push(first + i)
    }
    yield { rows, where: (index) => `${file}:${numbers[index]}` }
  }
}

export function invalidJson(error: unknown, where: string): TunesmithError {
  const reason = (error as Error).message.replace(/\s*\(line \d+ column \d+\)/, '')
  return new TunesmithError(`Not valid JSON: ${reason.length > 200 ? `${reason.slice(0, 200)}...` : reason}`, {
    code: 'invalid_data',
    where,
    remedy: "Mend the row, or pass onError: 'skip' to leave such rows out",
    cause: error,
  })
}
