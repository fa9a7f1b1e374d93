/** Writes documents of the corpus as JSON lines, to look at or to train elsewhere: `pnpm run corpus -- 1000 > corpus.jsonl` */
import { corpusDocument } from './corpus'
import { settings } from './settings'

const [count = 100, start = 0] = process.argv
  .slice(2)
  .filter((word) => word !== '--')
  .map(Number)
for (let i = start; i < start + count; i++)
  process.stdout.write(`${JSON.stringify({ text: corpusDocument(settings.seed, i) })}\n`)
