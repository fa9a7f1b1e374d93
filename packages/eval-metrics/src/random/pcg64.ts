import { generateState } from './seed-sequence'

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
const M0 = 0x9fccf645
const M1 = 0x4385df64
const M2 = 0x1fc65da4
const M3 = 0x2360ed05
const MAX = 0xffffffff

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

  /** state = state * multiplier + increment, modulo 2^128: one word of the product after the other, carries summed as doubles. */
  #step(): void {
    const s = this.#state
    const increment = this.#increment
    const [a, b, c, d] = [s[0], s[1], s[2], s[3]]
    let sum = (Math.imul(a, M0) >>> 0) + increment[0]
    s[0] = sum
    sum = (sum > MAX ? 1 : 0) + multiplyHigh(a, M0) + (Math.imul(a, M1) >>> 0) + (Math.imul(b, M0) >>> 0) + increment[1]
    s[1] = sum
    sum = Math.floor(sum / 2 ** 32) + multiplyHigh(a, M1) + multiplyHigh(b, M0) + increment[2]
    sum += (Math.imul(a, M2) >>> 0) + (Math.imul(b, M1) >>> 0) + (Math.imul(c, M0) >>> 0)
    s[2] = sum
    const high = Math.imul(a, M3) + Math.imul(b, M2) + Math.imul(c, M1) + Math.imul(d, M0)
    s[3] =
      Math.floor(sum / 2 ** 32) + multiplyHigh(a, M2) + multiplyHigh(b, M1) + multiplyHigh(c, M0) + increment[3] + high
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
