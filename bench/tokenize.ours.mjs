// Our side of the `tokenize` bench: answers one JSON line per JSON line. The ids are made into plain arrays in the timing.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Tokenizer } from '@tunesmith/tokenization'
import { serve } from './lib/serve.mjs'

const [folder, corpus] = process.argv.slice(2)
const tokenizer = await Tokenizer.fromPretrained(folder)
const texts = JSON.parse(readFileSync(corpus, 'utf8'))

const answers = {
  async check() {
    const digest = createHash('sha256')
    let tokens = 0
    for (const { ids } of await tokenizer.encodeBatch(texts, { threads: 2 })) {
      digest.update(`${ids.join(' ')}\n`)
      tokens += ids.length
    }
    return { digest: digest.digest('hex'), tokens }
  },
  async encode({ threads }) {
    const start = performance.now()
    let tokens = 0
    for (const { ids } of await tokenizer.encodeBatch(texts, { threads })) tokens += ids.length
    return { tokens, seconds: (performance.now() - start) / 1000 }
  },
}

await serve(answers)
