/** Writes the sample data, the same rows every time: `pnpm --filter tinyllama-medibot run generate` */
import { fileURLToPath } from 'node:url'
import { Dataset } from '@tunesmith/datasets'
import { makeRows, SEED } from './rows'

const file = fileURLToPath(new URL('../data/questions.parquet', import.meta.url))
const rows = makeRows(SEED)
await Dataset.fromRows(rows).toParquet(file)
console.log(`${rows.length} rows, ${rows.filter(({ answer }) => answer === null).length} without an answer`)
