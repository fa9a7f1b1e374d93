/** Rows per second from Parquet to packed bins, ours against Hugging Face datasets, transformers and TRL, and the memory of a stream. */
import { interleaved, pythonVenv, row, shared, speedRow, startWorker } from './lib/index.mjs'

/**
 * @param options `rounds` (3), `rows` (16000: of MedQuAD's answered questions, how many to prepare), `maxLength` (1024),
 *   `tokenizer` (a folder name), `stream` (1000000: rows of the generated stream)
 */
export async function run({
  rounds = 3,
  rows = 16_000,
  maxLength = 1024,
  tokenizer = 'qwen2.5-instruct',
  stream = 1_000_000,
} = {}) {
  const medquad = (name) => shared(`data/medquad/${name}`)
  const python = await pythonVenv(['datasets', 'transformers', 'trl', 'torch'])
  const ours = startWorker(process.execPath, [new URL('data.ours.mjs', import.meta.url)])
  const peer = startWorker(python, [new URL('data.peer.py', import.meta.url)])
  const out = []
  const race = async (message) => {
    const answers = {}
    const contender = (name, worker) => async () => {
      answers[name] = await worker.call(message)
      return answers[name].seconds
    }
    const seconds = await interleaved({ ours: contender('ours', ours), peer: contender('peer', peer) }, { rounds })
    const { seconds: _, ...mine } = answers.ours
    const { seconds: __, ...theirs } = answers.peer
    // Speed counts only for the same result.
    if (JSON.stringify(mine) !== JSON.stringify(theirs))
      throw new Error(`the results differ: ours ${JSON.stringify(mine)}, theirs ${JSON.stringify(theirs)}`)
    return { seconds, result: mine }
  }
  try {
    for (const file of ['medquad.parquet', 'medquad.zstd.parquet']) {
      const { seconds, result } = await race({ call: 'rows', file: medquad(file) })
      out.push(speedRow({ case: `${file} to rows`, seconds, amount: result.rows, unit: 'rows/s' }))
    }
    const task = { call: 'prepare', file: medquad('medquad.parquet'), rows, maxLength }
    const { seconds, result } = await race({ ...task, tokenizer: shared(`tokenizers/${tokenizer}`) })
    const name = `load, format, tokenize and pack ${result.rows} rows (${result.tokens} tokens, ${result.bins} bins)`
    out.push(speedRow({ case: name, seconds, amount: result.rows, unit: 'rows/s' }))
  } finally {
    ours.close()
    peer.close()
  }
  const alone = startWorker(process.execPath, [new URL('data.ours.mjs', import.meta.url)])
  try {
    const { seconds } = await alone.call({ call: 'stream', rows: stream })
    const name = `stream of ${stream} rows: map, filter, shuffle, pack`
    out.push(row({ case: name, ours: stream / seconds, unit: 'rows/s', oursMemory: alone.peakMemory() }))
  } finally {
    alone.close()
  }
  return { rows: out }
}
