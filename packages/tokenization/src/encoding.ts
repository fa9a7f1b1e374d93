/** The ids of one text. `offsets` are worked out when first asked for: most programs never do. */
export class Encoding {
  private cachedIds: number[] | undefined
  private cachedOffsets: [number, number][] | undefined
  private cachedSpans: [number, number][] | undefined

  /** @internal */
  constructor(
    private readonly readIds: () => number[],
    private readonly readSpans: () => [number, number][],
    private readonly trim: (spans: [number, number][]) => [number, number][],
    private readonly padding: { left: number; right: number; id: number } = { left: 0, right: 0, id: 0 },
  ) {}

  /** Token ids, with special tokens and padding where they were asked for. */
  get ids(): number[] {
    this.cachedIds ??= this.padded(this.readIds(), this.padding.id)
    return this.cachedIds
  }

  /**
   * For each id the `[start, end)` of UTF-16 units of the text it stands for; `[0, 0]` for tokens that were added. Without
   * the white space at both ends where the tokenizer's `trim_offsets` says so.
   */
  get offsets(): [number, number][] {
    this.cachedOffsets ??= this.padded<[number, number]>(this.trim(this.readSpans()), [0, 0])
    return this.cachedOffsets
  }

  /** The same with the white space. @internal */
  get spans(): [number, number][] {
    this.cachedSpans ??= this.padded<[number, number]>(this.readSpans(), [0, 0])
    return this.cachedSpans
  }

  /** 1 for every id of the text, 0 for padding. */
  get attentionMask(): number[] {
    const { left, right } = this.padding
    return this.ids.map((_, i) => (i < left || i >= this.ids.length - right ? 0 : 1))
  }

  get length(): number {
    return this.ids.length
  }

  private padded<T>(list: T[], filler: T): T[] {
    const { left, right } = this.padding
    if (left + right === 0) return list
    return [...new Array<T>(left).fill(filler), ...list, ...new Array<T>(right).fill(filler)]
  }
}
