import { Callable, Namespace, Undefined, type Value } from './values'

/** Names in reach: loops, macros and blocks open a scope of their own and cannot change those around them. */
export class Scope {
  private readonly names = new Map<string, Value>()

  constructor(
    private readonly parent?: Scope,
    /** How many loops this is in. */
    readonly depth: number = parent?.depth ?? 0,
  ) {}

  get(name: string): Value {
    for (let scope: Scope | undefined = this; scope; scope = scope.parent) {
      const value = scope.names.get(name)
      if (value !== undefined) return value
    }
    return new Undefined(name)
  }

  set(name: string, value: Value): void {
    this.names.set(name, value)
  }
}

/** The `loop` variable of one round. */
export function loopState(items: readonly Value[], i: number, depth: number): Namespace {
  const cycle = new Callable('cycle', (args) => args[i % Math.max(1, args.length)] ?? null)
  return new Namespace(
    new Map<string, Value>([
      ['index', i + 1],
      ['index0', i],
      ['revindex', items.length - i],
      ['revindex0', items.length - i - 1],
      ['first', i === 0],
      ['last', i === items.length - 1],
      ['length', items.length],
      ['depth', depth],
      ['depth0', depth - 1],
      ['previtem', items[i - 1] ?? new Undefined('there is no previous item')],
      ['nextitem', items[i + 1] ?? new Undefined('there is no next item')],
      ['cycle', cycle],
    ]),
  )
}
