/** NumPy's SeedSequence (after M. E. O'Neill's seed_seq): spreads an integer seed over any number of words. */
const POOL = 4

function seedWords(seed: number): number[] {
  const words: number[] = []
  for (let rest = seed; rest > 0; rest = Math.floor(rest / 2 ** 32)) words.push((rest % 2 ** 32) | 0)
  return words.length === 0 ? [0] : words
}

/** @param seed a non-negative safe integer. @returns `count` 32-bit words. */
export function generateState(seed: number, count: number): Uint32Array {
  const entropy = seedWords(seed)
  let constant = 0x43b0d7e5
  const hash = (value: number) => {
    let x = value ^ constant
    constant = Math.imul(constant, 0x931e8875)
    x = Math.imul(x, constant)
    return x ^ (x >>> 16)
  }
  const mix = (x: number, y: number) => {
    const z = (Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) | 0
    return z ^ (z >>> 16)
  }
  const pool = Array.from({ length: POOL }, (_, i) => hash(entropy[i] ?? 0))
  for (let from = 0; from < POOL; from++)
    for (let to = 0; to < POOL; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]))
  for (const word of entropy.slice(POOL)) for (let to = 0; to < POOL; to++) pool[to] = mix(pool[to], hash(word))

  let outConstant = 0x8b51f9dd
  return Uint32Array.from({ length: count }, (_, i) => {
    let x = pool[i % POOL] ^ outConstant
    outConstant = Math.imul(outConstant, 0x58f38ded)
    x = Math.imul(x, outConstant)
    return x ^ (x >>> 16)
  })
}
