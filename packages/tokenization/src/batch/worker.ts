import { parentPort, workerData } from 'node:worker_threads'
import { createEngine } from '../engine/create'
import type { TokenizerJson } from '../engine/tokenizer-json'
import { encodeChunk } from './encode-chunk'

/** A thread that encodes: it is given a tokenizer.json once and then answers chunks of texts. */
const { json, fast, where } = workerData as { json: TokenizerJson; fast: boolean; where: string }
const engine = createEngine(json, () => undefined, fast, where)
engine.setAddedTokens(json.added_tokens)

parentPort!.on('message', ({ job, texts }: { job: number; texts: string[] }) => {
  try {
    const { ids, ends } = encodeChunk(engine, texts)
    parentPort!.postMessage({ job, ids, ends }, [ids.buffer as ArrayBuffer, ends.buffer as ArrayBuffer])
  } catch (error) {
    parentPort!.postMessage({ job, error: (error as Error).message })
  }
})
