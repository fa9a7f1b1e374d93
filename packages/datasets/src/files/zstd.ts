import * as zlib from 'node:zlib'
import { Decompress } from 'fzstd'

/** Node has zstd from 22.15 on; before that it is done in JavaScript. */
const createNative = (zlib as { createZstdDecompress?: () => NodeJS.ReadWriteStream }).createZstdDecompress

/** Decompresses a zstd stream piece by piece. */
export async function* unzstd(raw: NodeJS.ReadableStream): AsyncGenerator<Buffer> {
  if (createNative) {
    const native = createNative()
    raw.on('error', (error) => (native as unknown as { destroy(error: Error): void }).destroy(error))
    yield* raw.pipe(native) as AsyncIterable<Buffer>
    return
  }
  let ready: Uint8Array[] = []
  let ended = false
  const stream = new Decompress((piece, last) => {
    // The decompressor reuses its window, so a piece has to be copied before the next push.
    ready.push(Uint8Array.prototype.slice.call(piece))
    ended = last ?? false
  })
  for await (const piece of raw as AsyncIterable<Buffer>) {
    stream.push(piece)
    for (const part of ready) yield Buffer.from(part.buffer, part.byteOffset, part.byteLength)
    ready = []
  }
  stream.push(new Uint8Array(0), true)
  for (const part of ready) yield Buffer.from(part.buffer, part.byteOffset, part.byteLength)
  if (!ended) throw new Error('unexpected end of zstd data')
}
