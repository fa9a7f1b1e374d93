/** Writes the dataset into data/, the same bytes every time: `pnpm run generate` */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeFileAtomic } from '@tunesmith/core'
import { makeSplits, SEED, toJsonLines } from './rows'

const folder = fileURLToPath(new URL('../data/', import.meta.url))
for (const [split, rows] of Object.entries(makeSplits(SEED))) {
  await writeFileAtomic(join(folder, `${split}.jsonl`), toJsonLines(rows))
  console.log(`${split}: ${rows.length} rows`)
}
