import { buildChunk } from '../example/build-many'
import { checkChunk } from '../inspect/check-rows'
import { Tokenizer } from '../tokenizer'
import type { ThreadData } from './runner'

const WORK: Record<string, (tokenizer: Tokenizer, items: never, options: never) => object> = {
  encode: (tokenizer, texts) => tokenizer.encodeChunk(texts),
  build: buildChunk,
  check: checkChunk,
}

/** A thread that tokenizes: it makes its tokenizer once, then works on chunks of texts or rows. */
export default (data: ThreadData) => {
  const tokenizer = Tokenizer.inThread(data)
  return (
    { kind, items, options }: { kind: string; items: never; options: never },
    transfer: ArrayBufferLike[],
  ): object => {
    const result = WORK[kind]!(tokenizer, items, options)
    for (const value of Object.values(result)) if (ArrayBuffer.isView(value)) transfer.push(value.buffer)
    return result
  }
}
