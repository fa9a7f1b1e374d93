import type { Arguments, Expression, ForStatement, Parameters, Slice, Statement, Target } from '../language/ast'

/**
 * Which variable a name means, after Jinja2's own rules (`idtracking`): a tag with a scope of its own sees the names around
 * it, and what it sets is gone when it ends; a macro sees the variables where it was defined, with the values they have
 * when it is called; what nothing in the template sets is looked up among the template's variables.
 */

/** The variables of one activation: of the template, a block, a macro, or a loop that calls itself. */
export class FunctionScope {
  private readonly slots = new Map<string, Slot>()

  constructor(readonly parent: FunctionScope | undefined) {}

  get size(): number {
    return this.slots.size
  }

  slot(level: number, name: string): Slot {
    const key = `${level} ${name}`
    let slot = this.slots.get(key)
    if (!slot) {
      slot = { owner: this, index: this.slots.size }
      this.slots.set(key, slot)
    }
    return slot
  }
}

/** A variable's place. */
export interface Slot {
  owner: FunctionScope
  index: number
}

/** How a variable gets its value when its scope is entered. */
export type Load =
  | { from: 'parameter' }
  | { from: 'context'; name: string }
  | { from: 'outer'; slot: Slot }
  | { from: 'nothing' }

export class Symbols {
  private refs = new Map<string, Slot>()
  loads = new Map<Slot, Load>()
  private stores = new Set<string>()

  constructor(
    readonly owner: FunctionScope,
    private readonly parent?: Symbols,
    private readonly level: number = parent ? parent.level + 1 : 0,
  ) {}

  inner(owner = this.owner): Symbols {
    return new Symbols(owner, this)
  }

  private copy(): Symbols {
    const copy = new Symbols(this.owner, this.parent, this.level)
    copy.refs = new Map(this.refs)
    copy.loads = new Map(this.loads)
    copy.stores = new Set(this.stores)
    return copy
  }

  find(name: string): Slot | undefined {
    return this.refs.get(name) ?? this.parent?.find(name)
  }

  private define(name: string, load: Load): Slot {
    const slot = this.owner.slot(this.level, name)
    this.refs.set(name, slot)
    this.loads.set(slot, load)
    return slot
  }

  parameter(name: string): Slot {
    this.stores.add(name)
    return this.define(name, { from: 'parameter' })
  }

  private load(name: string): void {
    if (!this.find(name)) this.define(name, { from: 'context', name })
  }

  private store(name: string): void {
    this.stores.add(name)
    if (this.refs.has(name)) return
    const outer = this.parent?.find(name)
    this.define(name, outer ? { from: 'outer', slot: outer } : { from: 'nothing' })
  }

  /** The names that are set here and around here, with their places. */
  stored(): Map<string, Slot> {
    const all = this.parent?.stored() ?? new Map<string, Slot>()
    for (const name of this.stores) all.set(name, this.find(name)!)
    return all
  }

  /** A name that only some branches set has, in the others, the value from outside. */
  private joinBranches(branches: readonly Symbols[]): void {
    const set = new Set(branches.flatMap((branch) => [...branch.stores]).filter((name) => !this.stores.has(name)))
    for (const branch of branches) {
      for (const [name, slot] of branch.refs) this.refs.set(name, slot)
      for (const [slot, load] of branch.loads) this.loads.set(slot, load)
      for (const name of branch.stores) this.stores.add(name)
    }
    for (const name of set) {
      const outer = this.parent?.find(name)
      this.loads.set(this.find(name)!, outer ? { from: 'outer', slot: outer } : { from: 'context', name })
    }
  }

  // What each tag with a scope of its own brings into it.

  enterBody(body: readonly Statement[]): void {
    for (const statement of body) this.statement(statement)
  }

  enterMacro({ names, defaults }: Parameters, body: readonly Statement[]): void {
    for (const name of names) this.parameter(name)
    for (const value of defaults) this.expression(value)
    this.enterBody(body)
  }

  enterLoop({ target, body }: ForStatement): void {
    this.target(target, true)
    this.enterBody(body)
  }

  enterLoopTest(target: Target, test: Expression): void {
    this.target(target, true)
    this.expression(test)
  }

  enterWith(targets: readonly Target[], body: readonly Statement[]): void {
    for (const target of targets) this.target(target, true)
    this.enterBody(body)
  }

  enterFilterBlock(filter: Expression, body: readonly Statement[]): void {
    this.enterBody(body)
    this.expression(filter)
  }

  enterAutoescape(value: Expression, body: readonly Statement[]): void {
    this.expression(value)
    this.enterBody(body)
  }

  // What a statement means for the scope it stands in; its own body comes later.

  private statement(node: Statement): void {
    switch (node.type) {
      case 'output':
        for (const item of node.items) if (item.type !== 'data') this.expression(item)
        break
      case 'for':
        this.expression(node.iterable)
        break
      case 'if': {
        this.expression(node.test)
        const branch = (statements: readonly Statement[]) => {
          const copy = this.copy()
          copy.enterBody(statements)
          return copy
        }
        this.joinBranches([branch(node.body), branch(node.elifs), branch(node.otherwise)])
        break
      }
      case 'macro':
        this.store(node.name)
        break
      case 'call block':
        if (node.call !== 'generation') this.expression(node.call)
        break
      case 'filter block':
        this.expression(node.filter)
        break
      case 'with':
        for (const value of node.values) this.expression(value)
        break
      case 'set':
        this.expression(node.value)
        this.target(node.target, false)
        break
      case 'set block':
        this.target(node.target, false)
        break
      default:
        break
    }
  }

  private target(target: Target, parameter: boolean): void {
    if (target.type === 'tuple') for (const item of target.items) this.target(item, parameter)
    else if (target.type === 'namespace attribute') this.load(target.name)
    else if (parameter) this.parameter(target.name)
    else this.store(target.name)
  }

  private expression(node: Expression): void {
    for (const name of namesIn(node)) this.load(name)
  }
}

/** The names an expression reads, in order. */
export function* namesIn(node: Expression | Slice | undefined): Generator<string, void, undefined> {
  if (node === undefined || node.type === 'const') return
  if (node.type === 'name') yield node.name
  else for (const child of childrenOf(node)) yield* namesIn(child)
}

/** The expressions that an expression is made of. */
export function childrenOf(
  node: Exclude<Expression | Slice, { type: 'const' | 'name' }>,
): (Expression | Slice | undefined)[] {
  switch (node.type) {
    case 'tuple':
    case 'list':
    case 'concat':
      return node.items
    case 'dict':
      return node.items.flatMap(({ key, value }) => [key, value])
    case 'condition':
      return [node.test, node.value, node.otherwise]
    case 'and':
    case 'or':
    case 'binary':
      return [node.left, node.right]
    case 'not':
    case 'negative':
    case 'positive':
      return [node.operand]
    case 'compare':
      return [node.first, ...node.rest.map(({ operand }) => operand)]
    case 'attribute':
      return [node.object]
    case 'item':
      return [node.object, node.key]
    case 'slice':
      return [node.start, node.stop, node.step]
    case 'call':
      return [node.callee, ...argumentsIn(node.args)]
    case 'filter':
    case 'test':
      return [node.operand, ...argumentsIn(node.args)]
  }
}

function argumentsIn(args: Arguments): (Expression | undefined)[] {
  return [...args.positional, ...args.named.map(({ value }) => value), args.spread, args.namedSpread]
}
