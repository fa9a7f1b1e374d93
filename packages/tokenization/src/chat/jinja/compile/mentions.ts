import type { Expression, Parameters, Statement, Target } from '../language/ast'
import { namesIn } from './symbols'

/**
 * Which of `names` a body reads before it sets them itself, bodies inside included, blocks not: what decides whether a loop
 * has a `loop` and a macro a `caller`, `varargs` and `kwargs`.
 */
export function mentioned(body: readonly Statement[], names: readonly string[]): Set<string> {
  const search = new Search(new Set(names))
  search.body(body)
  return search.found
}

class Search {
  readonly found = new Set<string>()

  constructor(private readonly open: Set<string>) {}

  body(statements: readonly Statement[]): void {
    for (const statement of statements) this.statement(statement)
  }

  private read(...expressions: (Expression | undefined)[]): void {
    for (const expression of expressions)
      for (const name of namesIn(expression)) if (this.open.has(name)) this.found.add(name)
  }

  private write(target: Target): void {
    if (target.type === 'tuple') for (const item of target.items) this.write(item)
    else if (target.type === 'name') this.open.delete(target.name)
  }

  private parameters({ names, defaults }: Parameters): void {
    for (const name of names) this.open.delete(name)
    this.read(...defaults)
  }

  private statement(node: Statement): void {
    switch (node.type) {
      case 'output':
        for (const item of node.items) if (item.type !== 'data') this.read(item)
        break
      case 'for':
        this.write(node.target)
        this.read(node.iterable)
        this.body(node.body)
        this.body(node.otherwise)
        this.read(node.test)
        break
      case 'if':
        this.read(node.test)
        this.body(node.body)
        this.body(node.elifs)
        this.body(node.otherwise)
        break
      case 'macro':
        this.parameters(node.parameters)
        this.body(node.body)
        break
      case 'call block':
        if (node.call !== 'generation') this.read(node.call)
        this.parameters(node.parameters)
        this.body(node.body)
        break
      case 'filter block':
        this.body(node.body)
        this.read(node.filter)
        break
      case 'with':
        for (const target of node.targets) this.write(target)
        this.read(...node.values)
        this.body(node.body)
        break
      case 'set':
        this.write(node.target)
        this.read(node.value)
        break
      case 'set block':
        this.write(node.target)
        this.read(node.filter)
        this.body(node.body)
        break
      case 'autoescape':
        this.read(node.value)
        this.body(node.body)
        break
      default:
        break
    }
  }
}
