/** A trie over UTF-16 units in flat arrays: one hash table from a node and a unit to the node behind it. */
export class Trie {
  private readonly mask: number
  private readonly parents: Int32Array
  private readonly units: Uint16Array
  private readonly children: Int32Array
  /** For each node the id of the token that ends there, or -1. */
  readonly ids: Int32Array

  /** @param tokens each with its id; of two equal ones the later counts. */
  constructor(tokens: readonly (readonly [string, number])[]) {
    let units = 1
    for (const [token] of tokens) units += token.length
    const slots = 2 ** Math.ceil(Math.log2(units * 2))
    this.mask = slots - 1
    this.parents = new Int32Array(slots).fill(-1)
    this.units = new Uint16Array(slots)
    this.children = new Int32Array(slots)
    const ids = new Int32Array(units).fill(-1)
    let count = 1
    for (const [token, id] of tokens) {
      let node = 0
      for (let i = 0; i < token.length; i++) {
        const slot = this.slot(node, token.charCodeAt(i))
        if (this.parents[slot] === -1) {
          this.parents[slot] = node
          this.units[slot] = token.charCodeAt(i)
          this.children[slot] = count++
        }
        node = this.children[slot]!
      }
      ids[node] = id
    }
    this.ids = ids.slice(0, count)
  }

  /** The node behind `unit`, or -1. The root is 0. */
  next(node: number, unit: number): number {
    const slot = this.slot(node, unit)
    return this.parents[slot] === -1 ? -1 : this.children[slot]!
  }

  private slot(node: number, unit: number): number {
    let h = Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b)
    h ^= h >>> 15
    let slot = Math.imul(h, 0x2c1b3c6d) & this.mask
    while (this.parents[slot] !== -1 && !(this.parents[slot] === node && this.units[slot] === unit))
      slot = (slot + 1) & this.mask
    return slot
  }
}
