// Our side of the `data` bench: answers one JSON line per JSON line.
import {
  applyLengthPolicy,
  collate,
  DataStream,
  formatDataset,
  loadDataset,
  packExamples,
  packStream,
} from '@tunesmith/datasets'
import { buildExample, Tokenizer } from '@tunesmith/tokenization'
import { serve } from './lib/serve.mjs'

const answers = {
  async rows({ file }) {
    const rows = (await loadDataset(file)).toArray()
    return { rows: rows.length, answered: rows.filter(({ answer }) => answer !== null).length }
  },
  async prepare({ file, rows, maxLength, tokenizer: folder }) {
    const tokenizer = await Tokenizer.fromPretrained(folder)
    const dataset = await (await loadDataset(file)).filter(({ answer }) => answer !== null).take(rows)
    const { dataset: examples } = formatDataset(dataset)
    const tokenized = examples.toArray().map((example) => {
      const { inputIds, labels } = buildExample(tokenizer, example)
      return { inputIds: Int32Array.from(inputIds), labels: Int32Array.from(labels) }
    })
    const kept = applyLengthPolicy(tokenized, { maxLength, dropWithoutTargets: false }).examples
    const { bins, report } = packExamples(kept, { maxLength })
    const learnt = bins
      .flat()
      .reduce((sum, { labels }) => sum + labels.reduce((n, label) => n + (label !== -100), 0), 0)
    return { rows: dataset.length, tokens: report.tokens, bins: bins.length, learnt }
  },
  /** Generated rows, so that nothing but the stream takes memory. */
  async stream({ rows }) {
    const source = DataStream.fromGenerator(function* () {
      for (let i = 0; i < rows; i++) yield { id: i, text: `row ${i} `.repeat(1 + (i % 13)) }
    })
    const examples = source
      .map(({ id, text }) => {
        const inputIds = new Int32Array(text.length >> 2).fill(id % 500)
        return { id, inputIds, labels: inputIds }
      })
      .filter(({ id }) => id % 10 !== 0)
      .shuffle({ seed: 4, bufferSize: 10_000 })
    let tokens = 0
    for await (const bin of packStream(examples, { maxLength: 512 })) tokens += collate(bin).inputIds.length
    return { tokens }
  },
}

await serve(answers)
