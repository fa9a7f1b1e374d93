import { generateState } from './seedSequence'

/** High 32 bits of an unsigned 32 x 32 bit product; the low ones are `Math.imul`. */
function multiplyHigh(a: number, b: number): number {
  const a0 = a & 0xffff
  const a1 = a >>> 16
  const b0 = b & 0xffff
  const b1 = b >>> 16
  const middle = a1 * b0 + ((a0 * b0) >>> 16)
  return (a1 * b1 + Math.floor(middle / 65536) + (a0 * b1 + (middle & 0xffff)) / 65536) >>> 0
}

// 0x2360ED051FC65DA44385DF649FCCF645, least significant word first.
const MULTIPLIER = [0x9fccf645, 0x4385df64, 0x1fc65da4, 0x2360ed05]

/**
 * NumPy's `default_rng(seed)`: PCG64 (XSL-RR 128/64, M. E. O'Neill 2014) with NumPy's bounded integers, so that the same
 * seed draws the same resamples as the Python originals.
 */
export class Pcg64 {
  /** 128-bit numbers as four words, least significant first. */
  readonly #state = new Uint32Array(4)
  readonly #increment = new Uint32Array(4)
  #spare = -1

  constructor(seed: number) {
    const words = generateState(seed, 8)
    // Words come as (high, low) pairs of 64-bit numbers, each of which is stored low word first.
    const initial = [words[2], words[3], words[0], words[1]]
    const sequence = [words[6], words[7], words[4], words[5]]
    for (let i = 0; i < 4; i++) this.#increment[i] = (sequence[i] << 1) | (i === 0 ? 1 : sequence[i - 1] >>> 31)
    this.#step()
    let carry = 0
    for (let i = 0; i < 4; i++) {
      carry += this.#state[i] + initial[i]
      this.#state[i] = carry
      carry = Math.floor(carry / 2 ** 32)
    }
    this.#step()
  }

  #step(): void {
    const s = this.#state
    const product = [0, 0, 0, 0]
    for (let i = 0; i < 4; i++) {
      const a = s[i]
      for (let j = 0; i + j < 4; j++) {
        product[i + j] += Math.imul(a, MULTIPLIER[j]) >>> 0
        if (i + j < 3) product[i + j + 1] += multiplyHigh(a, MULTIPLIER[j])
      }
    }
    let carry = 0
    for (let i = 0; i < 4; i++) {
      carry += product[i] + this.#increment[i]
      s[i] = carry
      carry = Math.floor(carry / 2 ** 32)
    }
  }

  /** The next 32 bits: the two halves of each 64-bit output, low half first. */
  uint32(): number {
    if (this.#spare >= 0) {
      const spare = this.#spare
      this.#spare = -1
      return spare
    }
    this.#step()
    const s = this.#state
    let low = (s[0] ^ s[2]) >>> 0
    let high = (s[1] ^ s[3]) >>> 0
    const rotation = s[3] >>> 26
    if (rotation >= 32) [low, high] = [high, low]
    const r = rotation & 31
    if (r > 0) [low, high] = [((low >>> r) | (high << (32 - r))) >>> 0, ((high >>> r) | (low << (32 - r))) >>> 0]
    this.#spare = high
    return low
  }

  /** `rng.integers(n)`, also `rng.choice(n)`: an integer in [0, n), n < 2^32, by Lemire's method. */
  integer(n: number): number {
    if (n === 1) return 0
    let x = this.uint32()
    let low = Math.imul(x, n) >>> 0
    if (low < n) {
      const threshold = (2 ** 32 - n) % n
      while (low < threshold) {
        x = this.uint32()
        low = Math.imul(x, n) >>> 0
      }
    }
    return multiplyHigh(x, n)
  }

  /** `rng.choice(n, size=count)`. */
  choice(n: number, count: number): Uint32Array {
    const drawn = new Uint32Array(count)
    for (let i = 0; i < count; i++) drawn[i] = this.integer(n)
    return drawn
  }

  /** `rng.integers(2, size=count, dtype=bool)`: 32 draws out of every word, lowest bit first. */
  booleans(count: number): Uint8Array {
    const drawn = new Uint8Array(count)
    let bits = 0
    for (let i = 0; i < count; i++) {
      if (i % 32 === 0) bits = this.uint32()
      drawn[i] = (bits >>> (i % 32)) & 1
    }
    return drawn
  }
}
