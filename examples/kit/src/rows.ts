import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExampleRun } from './run'

/** Writes formatted rows to `rows/train.jsonl` and `rows/test.jsonl`, where the example's config for `tunesmith train` looks for them. */
export function saveRows({ outputDir }: ExampleRun, rows: { train: readonly object[]; test: readonly object[] }): void {
  const folder = join(outputDir, 'rows')
  mkdirSync(folder, { recursive: true })
  for (const [name, list] of Object.entries(rows))
    writeFileSync(join(folder, `${name}.jsonl`), list.map((row) => `${JSON.stringify(row)}\n`).join(''))
  console.log(
    `rows for \`tunesmith train\`: ${join(folder, 'train.jsonl')} (${rows.train.length}), test.jsonl (${rows.test.length})`,
  )
}
