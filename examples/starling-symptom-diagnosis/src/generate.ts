/** Writes the sample data, the same bytes every time: `pnpm --filter starling-symptom-diagnosis run generate` */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeFileAtomic } from '@tunesmith/core'
import { makeSplits, SEED } from './rows'

const folder = fileURLToPath(new URL('../data/', import.meta.url))
for (const [split, rows] of Object.entries(makeSplits(SEED))) {
  await writeFileAtomic(join(folder, `${split}.jsonl`), rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  console.log(`${split}: ${rows.length} rows`)
}
