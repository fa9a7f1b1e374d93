import type { TapeNode } from '../engine'

/** A node on a path from a wanted input to the result, and which of its inputs lie on such a path. */
interface PathNode {
  node: TapeNode
  wanted: string[]
}

/**
 * The nodes that connect any tensor in `fromIds` with the tensor `toId`, in recording order, each with the names of the
 * inputs that need a gradient.
 */
export function nodesOnPath(tape: readonly TapeNode[], fromIds: Iterable<number>, toId: number): PathNode[] {
  const reachable = new Set(fromIds)
  const forward: PathNode[] = []
  for (const node of tape) {
    const wanted = Object.keys(node.inputs).filter((name) => reachable.has(node.inputs[name]!.id))
    if (wanted.length === 0) continue
    for (const output of node.outputs) reachable.add(output.id)
    forward.push({ node, wanted })
  }
  const needed = new Set([toId])
  const path: PathNode[] = []
  for (let i = forward.length - 1; i >= 0; i--) {
    const { node, wanted } = forward[i]!
    if (!node.outputs.some((output) => needed.has(output.id))) continue
    for (const name of wanted) needed.add(node.inputs[name]!.id)
    path.push(forward[i]!)
  }
  return path.reverse()
}
