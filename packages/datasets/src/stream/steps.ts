import type { Random } from '@tunesmith/core'
import type { z } from 'zod'
import { type interleaveSchema, mayStop, sourceChooser } from '../dataset/interleave'
import type { RowChunk } from '../rows'

export async function* takeRows<R>(chunks: AsyncIterable<RowChunk<R>>, count: number): AsyncGenerator<RowChunk<R>> {
  let left = count
  if (left <= 0) return
  for await (const chunk of chunks) {
    if (chunk.rows.length < left) {
      left -= chunk.rows.length
      yield chunk
      continue
    }
    yield { rows: chunk.rows.slice(0, left), where: chunk.where }
    return
  }
}

export async function* skipRows<R>(chunks: AsyncIterable<RowChunk<R>>, count: number): AsyncGenerator<RowChunk<R>> {
  let left = count
  for await (const chunk of chunks) {
    if (left <= 0) yield chunk
    else if (chunk.rows.length > left) {
      const from = left
      const { where } = chunk
      yield { rows: chunk.rows.slice(from), where: (index) => where?.(index + from) }
    }
    left -= chunk.rows.length
  }
}

/** Each incoming row takes the place of a random one in the buffer, which goes out. */
export async function* shuffleChunks<R>(
  chunks: AsyncIterable<RowChunk<R>>,
  bufferSize: number,
  random: Random,
): AsyncGenerator<RowChunk<R>> {
  interface Held {
    row: R
    where: RowChunk<R>['where']
    index: number
  }
  const emit = (held: Held[]): RowChunk<R> => ({
    rows: held.map(({ row }) => row),
    where: (index) => held[index]!.where?.(held[index]!.index),
  })
  const buffer: Held[] = []
  for await (const chunk of chunks) {
    const out: Held[] = []
    // Not the chunk itself: all of its rows would stay in memory as long as any one of them is held.
    const { where } = chunk
    chunk.rows.forEach((row, index) => {
      const held = { row, where, index }
      if (buffer.length < bufferSize) buffer.push(held)
      else {
        const at = random.int(bufferSize)
        out.push(buffer[at]!)
        buffer[at] = held
      }
    })
    if (out.length > 0) yield emit(out)
  }
  random.shuffle(buffer)
  for (let start = 0; start < buffer.length; start += 1000) yield emit(buffer.slice(start, start + 1000))
}

/** Reads one chunk ahead of each source, and starts a source over where `allExhausted` asks for it. */
class Source<R> {
  #chunks: AsyncIterator<RowChunk<R>>
  #chunk: RowChunk<R> = { rows: [] }
  #at = 0
  finished = false

  constructor(readonly open: () => AsyncIterable<RowChunk<R>>) {
    this.#chunks = open()[Symbol.asyncIterator]()
  }
  async #fill(): Promise<boolean> {
    while (this.#at === this.#chunk.rows.length) {
      const next = await this.#chunks.next()
      if (next.done) return false
      this.#chunk = next.value
      this.#at = 0
    }
    return true
  }
  /** The next row, and whether it was the source's last. */
  async next(): Promise<{ row: R; where: string | undefined; last: boolean } | undefined> {
    if (!(await this.#fill())) return undefined
    const row = this.#chunk.rows[this.#at]!
    const where = this.#chunk.where?.(this.#at)
    this.#at++
    return { row, where, last: !(await this.#fill()) }
  }
  restart() {
    this.#chunks = this.open()[Symbol.asyncIterator]()
    this.#chunk = { rows: [] }
    this.#at = 0
  }
  async close() {
    await this.#chunks.return?.()
  }
}

export async function* interleaveChunks<R>(
  streams: readonly { chunks(): AsyncIterable<RowChunk<R>> }[],
  options: z.output<typeof interleaveSchema>,
): AsyncGenerator<RowChunk<R>> {
  if (streams.length === 0) return
  const choose = sourceChooser(streams.length, options)
  const sources = streams.map((stream) => new Source<R>(() => stream.chunks()))
  try {
    let unfinished = sources.length
    let rows: R[] = []
    let places: (string | undefined)[] = []
    const flush = (): RowChunk<R> => {
      const where = places
      const chunk = { rows, where: (index: number) => where[index] }
      rows = []
      places = []
      return chunk
    }
    for (;;) {
      const chosen = choose()
      const source = sources[chosen]!
      const item = await source.next()
      if (!item) break // an empty stream gives nothing, however often it is started over
      rows.push(item.row)
      places.push(item.where)
      if (item.last) {
        if (!source.finished) unfinished--
        source.finished = true
        source.restart()
      }
      const enough = options.stopping === 'firstExhausted' ? unfinished < sources.length : unfinished === 0
      if (enough && mayStop(chosen, sources.length, options)) break
      if (rows.length === 256) yield flush()
    }
    if (rows.length > 0) yield flush()
  } finally {
    await Promise.all(sources.map((source) => source.close()))
  }
}
