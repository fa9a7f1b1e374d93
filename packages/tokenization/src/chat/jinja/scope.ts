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

const NO_FIELDS = new Map<string, Value>()

/** The `loop` variable of one round; most templates ask for one or two of its fields, so they are made on demand. */
export class LoopState extends Namespace {
  constructor(
    private readonly items: readonly Value[],
    private readonly i: number,
    private readonly depth: number,
  ) {
    super(NO_FIELDS)
  }

  override get(name: string): Value | undefined {
    const { items, i, depth } = this
    switch (name) {
      case 'index':
        return i + 1
      case 'index0':
        return i
      case 'revindex':
        return items.length - i
      case 'revindex0':
        return items.length - i - 1
      case 'first':
        return i === 0
      case 'last':
        return i === items.length - 1
      case 'length':
        return items.length
      case 'depth':
        return depth
      case 'depth0':
        return depth - 1
      case 'previtem':
        return items[i - 1] ?? (i > 0 ? null : new Undefined('there is no previous item'))
      case 'nextitem':
        return items[i + 1] ?? (i + 1 < items.length ? null : new Undefined('there is no next item'))
      case 'cycle':
        return new Callable('cycle', (args) => args[i % Math.max(1, args.length)] ?? null)
      default:
        return undefined
    }
  }
}
