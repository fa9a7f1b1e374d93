/** Everything needed to continue a {@link Random} stream: four 32-bit words. */
export type RandomState = [number, number, number, number]

/**
 * A seeded random stream: the same seed gives the same numbers on every machine.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand), seeded through SplitMix-style mixing.
 */
export class Random {
  #a: number
  #b: number
  #c: number
  #d: number

  /** @param seed any number; only its integer value modulo 2^53 matters. Different `stream` names are independent. */
  constructor(seed: number, stream = '') {
    let h = 0x9e3779b9 ^ (seed | 0) ^ Math.imul(Math.floor(seed / 0x100000000) | 0, 0x85ebca6b)
    for (let i = 0; i < stream.length; i++) h = Math.imul(h ^ stream.charCodeAt(i), 0x01000193)
    const mix = () => {
      h = (h + 0x9e3779b9) | 0
      let x = h ^ (h >>> 16)
      x = Math.imul(x, 0x21f0aaad)
      x ^= x >>> 15
      x = Math.imul(x, 0x735a2d97)
      return (x ^ (x >>> 15)) | 0
    }
    ;[this.#a, this.#b, this.#c, this.#d] = [mix(), mix(), mix(), 1]
    for (let i = 0; i < 12; i++) this.uint32()
  }

  static fromState(state: RandomState): Random {
    const random = new Random(0)
    ;[random.#a, random.#b, random.#c, random.#d] = state
    return random
  }

  state(): RandomState {
    return [this.#a, this.#b, this.#c, this.#d]
  }

  /** An integer in [0, 2^32). */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** A float64 in [0, 1) with 53 random bits. */
  uniform(): number {
    return ((this.uint32() >>> 5) * 67108864 + (this.uint32() >>> 6)) / 9007199254740992
  }

  /** An integer in [0, n), without modulo bias. */
  int(n: number): number {
    const limit = 4294967296 - (4294967296 % n)
    let x = this.uint32()
    while (x >= limit) x = this.uint32()
    return x % n
  }

  /** A standard normal deviate (Box-Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()))
    return radius * Math.cos(2 * Math.PI * this.uniform())
  }

  /** One element of a non-empty list. */
  pick<Item>(items: readonly Item[]): Item {
    return items[this.int(items.length)]!
  }

  /** Shuffles in place (Fisher-Yates) and returns the same array. */
  shuffle<Items extends { length: number; [index: number]: unknown }>(items: Items): Items {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.int(i + 1)
      const kept = items[i]
      items[i] = items[j]
      items[j] = kept
    }
    return items
  }
}
