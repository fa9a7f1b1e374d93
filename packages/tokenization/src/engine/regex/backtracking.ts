import { type Node, Untranslatable } from './parse'
import { type CodeSet, intersection, union } from './sets'

/** Ways through one expression that are looked at. */
const MOST_WAYS = 10_000
/** Repeats without end on one way. */
const MOST_REPEATS = 4

/** One element on a way through an expression. */
interface Item {
  /** What it takes, where it repeats without end. */
  repeats: CodeSet | undefined
  /** Whether the match can fail at it. */
  canFail: boolean
}

/**
 * Refuses an expression that can take time out of proportion to the text (beyond its square): two repeats without end that
 * take the same characters, and then something that can fail, so that every way to divide the characters is tried.
 *
 * @throws {Untranslatable}
 */
export function checkBacktracking(node: Node): void {
  for (const way of ways(node)) {
    const repeats = way.flatMap((item, at) => (item.repeats ? [{ set: item.repeats, at }] : []))
    if (repeats.length > MOST_REPEATS) throw new Untranslatable(`more than ${MOST_REPEATS} repeats after each other`)
    for (const [i, first] of repeats.entries())
      for (const second of repeats.slice(i + 1))
        if (way.slice(second.at + 1).some((item) => item.canFail) && intersection(first.set, second.set).length > 0)
          throw new Untranslatable('two repeats that can take the same characters before something else')
  }
}

function ways(node: Node): Item[][] {
  const cross = (heads: Item[][], tails: Item[][]) => {
    if (heads.length * tails.length > MOST_WAYS) throw new Untranslatable('too many alternatives')
    return heads.flatMap((head) => tails.map((tail) => [...head, ...tail]))
  }
  switch (node.kind) {
    case 'set':
      return [[{ repeats: undefined, canFail: true }]]
    case 'sequence':
      return node.parts.map(ways).reduce(cross, [[]])
    case 'either':
      return node.parts.flatMap(ways)
    case 'repeat':
      if (!Number.isFinite(node.max)) return [[{ repeats: charactersOf(node.body), canFail: node.min > 0 }]]
      // What may be left out is left out at once where it fails.
      if (node.min === 0)
        return [[], ...ways({ ...node, min: 1 }).map((way) => way.map((item) => ({ ...item, canFail: false })))]
      // What repeats a few times is looked at twice in a row, which shows what can go wrong.
      return node.max > 1 ? cross(ways(node.body), ways(node.body)) : ways(node.body)
    case 'place':
      return [[{ repeats: undefined, canFail: true }]]
    case 'atomic':
      return ways(node.body)
    default:
      checkBacktracking(node.body)
      return [[{ repeats: undefined, canFail: true }]]
  }
}

/** Every character that a node may take. */
function charactersOf(node: Node): CodeSet {
  switch (node.kind) {
    case 'set':
      return node.set
    case 'sequence':
    case 'either':
      return union(...node.parts.map(charactersOf))
    case 'repeat':
    case 'atomic':
      return charactersOf(node.body)
    default:
      return []
  }
}
