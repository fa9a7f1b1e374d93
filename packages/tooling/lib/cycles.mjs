/** The circles of a directed graph, each as the list of its nodes: Tarjan's strongly connected components. */
export function findCycles(edges) {
  const index = new Map()
  const low = new Map()
  const stack = []
  const onStack = new Set()
  const cycles = []
  const visit = (node) => {
    index.set(node, index.size)
    low.set(node, index.get(node))
    stack.push(node)
    onStack.add(node)
    for (const next of edges.get(node) ?? []) {
      if (!index.has(next)) {
        visit(next)
        low.set(node, Math.min(low.get(node), low.get(next)))
      } else if (onStack.has(next)) low.set(node, Math.min(low.get(node), index.get(next)))
    }
    if (low.get(node) !== index.get(node)) return
    const component = []
    let member
    do {
      member = stack.pop()
      onStack.delete(member)
      component.unshift(member)
    } while (member !== node)
    if (component.length > 1 || edges.get(node)?.has(node)) cycles.push(component)
  }
  for (const node of edges.keys()) if (!index.has(node)) visit(node)
  return cycles
}
