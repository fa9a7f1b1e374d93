import { invalidData } from '@tunesmith/core'
import { utf8ByteTokens } from './byte-tokens'
import type { Model, WordTokens } from './model'
import { Trie } from './trie'

/** What an unknown character costs more than the worst token. */
const UNKNOWN_PENALTY = 10

/**
 * A unigram language model (Kudo 2018): the tokens whose scores add up to the most, found by the Viterbi algorithm from
 * left to right, where of equal sums the first one found stays. Neighbouring unknown characters are one token.
 */
export class Unigram implements Model {
  private readonly trie: Trie
  private readonly scores: Float64Array
  private readonly ids = new Map<string, number>()
  private readonly unknownScore: number
  private readonly byteIds: Int32Array | undefined
  // For each place the best way to it, reused from text to text.
  private best = new Float64Array(256)
  private from = new Int32Array(256)
  private token = new Int32Array(256)

  constructor(
    vocab: readonly (readonly [string, number])[],
    private readonly unknown: number | undefined,
    byteFallback: boolean,
    private readonly where: string,
  ) {
    let lowest = Number.POSITIVE_INFINITY
    for (const [id, [token, score]] of vocab.entries()) {
      this.ids.set(token, id)
      if (score < lowest) lowest = score
    }
    this.scores = Float64Array.from(vocab, ([, score]) => score)
    this.trie = new Trie(vocab.map(([token], id) => [token, id] as const))
    this.unknownScore = lowest - UNKNOWN_PENALTY
    this.byteIds = byteFallback ? utf8ByteTokens(this.ids) : undefined
  }

  tokenize(word: string): WordTokens {
    const ids: number[] = []
    const spans: number[] = []
    const texts: (string | undefined)[] = []
    for (const [start, end] of this.pieces(word)) {
      const text = word.slice(start, end)
      const id = this.ids.get(text)
      const bytes = id === undefined && this.byteIds ? Buffer.from(text) : undefined
      if (bytes?.every((byte) => this.byteIds![byte] !== -1)) {
        for (const byte of bytes) {
          ids.push(this.byteIds![byte]!)
          spans.push(start, end)
          texts.push(undefined)
        }
        continue
      }
      ids.push(id ?? this.unknownId())
      spans.push(start, end)
      texts.push(text)
    }
    return { ids, spans, texts }
  }

  /** Start and end of each piece of the best path. */
  private pieces(word: string): [number, number][] {
    this.viterbi(word)
    const out: [number, number][] = []
    let fused = -1
    for (let end = word.length; end > 0; ) {
      const start = this.from[end]!
      if (this.token[end] === this.unknown) {
        if (fused === -1) fused = end
      } else {
        if (fused !== -1) out.push([end, fused])
        fused = -1
        out.push([start, end])
      }
      end = start
    }
    if (fused !== -1) out.push([0, fused])
    return out.reverse()
  }

  private viterbi(word: string): void {
    const size = word.length
    if (this.best.length <= size) {
      this.best = new Float64Array(2 * size + 1)
      this.from = new Int32Array(2 * size + 1)
      this.token = new Int32Array(2 * size + 1)
    }
    const { best, from, token, trie, scores } = this
    from.fill(-1, 0, size + 1)
    best[0] = 0
    for (let start = 0; start < size; ) {
      const unit = word.charCodeAt(start)
      const width = (unit & 0xfc00) === 0xd800 && start + 1 < size ? 2 : 1
      const before = best[start]!
      let single = false
      for (let at = start, node = 0; at < size; ) {
        node = trie.next(node, word.charCodeAt(at++))
        if (node === -1) break
        const id = trie.ids[node]!
        if (id === -1) continue
        const score = scores[id]! + before
        if (from[at] === -1 || score > best[at]!) {
          best[at] = score
          from[at] = start
          token[at] = id
        }
        if (at - start === width) single = true
      }
      const after = start + width
      if (!single) {
        const score = this.unknownScore + before
        if (from[after] === -1 || score > best[after]!) {
          best[after] = score
          from[after] = start
          token[after] = this.unknownId()
        }
      }
      start = after
    }
  }

  private unknownId(): number {
    if (this.unknown !== undefined) return this.unknown
    throw invalidData('The text has a character that is not in the vocabulary, and there is no unknown token', {
      where: this.where,
    })
  }
}
