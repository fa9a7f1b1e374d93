/** Tokens per second of batch encoding, ours against Rust `tokenizers` on the same cores, with identical ids. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { interleaved, pythonVenv, shared, speedRow, startWorker } from './lib/index.mjs'

const NAMES = ['tinyllama-1.1b-chat', 'starling-lm-7b-alpha', 'llama-3.1-8b-instruct', 'qwen2.5-instruct', 'gpt2']

/** Question and answer of the first 16,000 answered rows. */
async function texts(rows) {
  const file = await asyncBufferFromFile(shared('data/medquad/medquad.parquet'))
  const table = await parquetReadObjects({ file, columns: ['question', 'answer'] })
  return table
    .filter(({ answer }) => answer)
    .slice(0, rows)
    .map(({ question, answer }) => `${question ?? ''}\n${answer}`)
}

/** @param options `rounds` (5), `rows` (16000), `only` (one tokenizer's folder name) */
export async function run({ rounds = 5, rows = 16_000, only } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'tokenize-'))
  const corpus = join(folder, 'texts.json')
  const out = []
  try {
    await writeFile(corpus, JSON.stringify(await texts(rows)))
    const python = await pythonVenv(['tokenizers'])
    for (const name of only ? [only] : NAMES) {
      const tokenizer = shared(`tokenizers/${name}`)
      const ours = startWorker(process.execPath, [new URL('tokenize.ours.mjs', import.meta.url), tokenizer, corpus])
      const peer = startWorker(python, [
        new URL('tokenize.peer.py', import.meta.url),
        join(tokenizer, 'tokenizer.json'),
        corpus,
      ])
      const [mine, theirs] = [await ours.call({ call: 'check' }), await peer.call({ call: 'check' })]
      if (mine.digest !== theirs.digest) throw new Error(`${name}: the ids differ`)
      const seconds = await interleaved(
        {
          ours: async () => (await ours.call({ call: 'encode', threads: 0 })).seconds,
          threads: async () => (await ours.call({ call: 'encode', threads: 2 })).seconds,
          peer: async () => (await peer.call({ call: 'encode' })).seconds,
        },
        { rounds },
      )
      const memory = { oursMemory: ours.peakMemory(), peerMemory: peer.peakMemory() }
      const common = { amount: mine.tokens, unit: 'tokens/s', ...memory }
      out.push(
        speedRow({ case: `${name}, one thread`, seconds: { ours: seconds.ours, peer: seconds.peer }, ...common }),
      )
      out.push(
        speedRow({ case: `${name}, two threads`, seconds: { ours: seconds.threads, peer: seconds.peer }, ...common }),
      )
      ours.close()
      peer.close()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return { rows: out }
}
