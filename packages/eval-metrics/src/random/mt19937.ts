const N = 624
const M = 397

/** NumPy's legacy `np.random.seed(seed)` stream: MT19937 (Matsumoto and Nishimura 1998), as rouge_score's bootstrap uses it. */
export class Mt19937 {
  readonly #state = new Int32Array(N)
  #position = N

  /** @param seed an integer in [0, 2^32). */
  constructor(seed: number) {
    const s = this.#state
    s[0] = seed
    for (let i = 1; i < N; i++) s[i] = Math.imul(1812433253, s[i - 1] ^ (s[i - 1] >>> 30)) + i
  }

  uint32(): number {
    const s = this.#state
    if (this.#position === N) {
      for (let i = 0; i < N; i++) {
        const y = (s[i] & 0x80000000) | (s[(i + 1) % N] & 0x7fffffff)
        s[i] = s[(i + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
      }
      this.#position = 0
    }
    let y = s[this.#position++]
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    return (y ^ (y >>> 18)) >>> 0
  }

  /** `np.random.choice(n, size=count)`: words cut to the bits of n - 1, drawn again while too large. */
  choice(n: number, count: number): Uint32Array {
    const drawn = new Uint32Array(count)
    if (n === 1) return drawn
    const mask = 2 ** (32 - Math.clz32(n - 1)) - 1
    for (let i = 0; i < count; i++) {
      let x: number
      do x = (this.uint32() & mask) >>> 0
      while (x >= n)
      drawn[i] = x
    }
    return drawn
  }
}
