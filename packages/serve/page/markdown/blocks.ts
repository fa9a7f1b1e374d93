import type { Token } from 'marked'
import { lex } from './lex'

/** Longer than any marker of a list item: what is shorter may yet go on with the list before it. */
const MARKER = 10
/** Reading takes at most one part in so many of the time. */
const SHARE = 4
const SOON_MS = 20

/**
 * Markdown that arrives bit by bit. Only the last block is parsed again; those before it cannot change any more and keep their identity.
 * The whole is parsed once more at the end, since a definition at the bottom may belong to a link at the top.
 */
export class StreamedBlocks {
  #text = ''
  #settled: Token[] = []
  #length = 0
  #tokens: Token[] = []
  /** Until then a slow text is shown as it was. */
  #rests = 0

  constructor(private readonly now = () => performance.now()) {}

  read(source: string, ended: boolean): Token[] {
    const text = source.replace(/\r\n?/g, '\n')
    if (ended) return lex(text)
    const start = this.now()
    if (start < this.#rests) return this.#tokens
    if (!text.startsWith(this.#text)) {
      this.#settled = []
      this.#length = 0
    }
    this.#text = text
    const open = lex(text.slice(this.#length))
    const last = open.findLastIndex(({ type }) => type !== 'space')
    const isNext = last > 0 && open[last]!.raw.trim().length > MARKER
    const settling = isNext ? open.slice(0, last) : []
    this.#settled = [...this.#settled, ...settling]
    this.#length += settling.reduce((sum, { raw }) => sum + raw.length, 0)
    this.#tokens = [...this.#settled, ...open.slice(settling.length)]
    const took = this.now() - start
    this.#rests = took > SOON_MS ? start + SHARE * took : 0
    return this.#tokens
  }
}
