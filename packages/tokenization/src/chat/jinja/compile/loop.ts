import { equals } from '../values/compare'
import { TemplateFault } from '../values/fault'
import { lengthIf } from '../values/iterate'
import { Callable, Tuple, Undefined, type Value } from '../values/value'

/** The `loop` of a `for`. */
export class Loop extends Callable {
  override readonly typeName = 'LoopContext'
  index0 = -1
  private current: Value | undefined
  private before: Value | undefined
  /** The next item, once it was looked at; undefined inside when there is none. */
  private peeked: { item: Value | undefined } | undefined
  private known: number | undefined
  private lastChanged: readonly Value[] | undefined
  private iterator: Iterator<Value>

  /**
   * @param source what is looped over, where its length can be asked
   * @param recurse renders the loop's body for other items, in a loop marked `recursive`
   */
  constructor(
    items: Iterable<Value>,
    source: Value | undefined,
    private readonly depth0: number,
    recurse: ((items: Value, depth: number) => Value) | undefined,
  ) {
    super('loop', (args, kwargs) => {
      if (!recurse) throw new TemplateFault("The loop must have the 'recursive' marker to be called recursively.")
      const items = args[0] ?? kwargs.get('iterable')
      if (items === undefined || args.length + kwargs.size !== 1) throw new TemplateFault('loop() takes one iterable')
      return recurse(items, this.depth0 + 1)
    })
    this.iterator = items[Symbol.iterator]()
    this.known = source === undefined ? undefined : lengthIf(source)
  }

  /** The next item, or undefined at the end. */
  next(): Value | undefined {
    const item = this.peek()
    this.peeked = undefined
    if (item === undefined) return undefined
    this.index0++
    this.before = this.current
    this.current = item
    return item
  }

  private peek(): Value | undefined {
    this.peeked ??= { item: this.advance() }
    return this.peeked.item
  }

  private advance(): Value | undefined {
    const { done, value } = this.iterator.next()
    return done ? undefined : value
  }

  override len(): number {
    if (this.known === undefined) {
      const rest = Array.from({ [Symbol.iterator]: () => this.iterator })
      this.iterator = rest[Symbol.iterator]()
      this.known = rest.length + this.index0 + 1 + Number(this.peeked?.item !== undefined)
    }
    return this.known
  }

  override *iterate(): Generator<Value, void, undefined> {
    for (let item = this.next(); item !== undefined; item = this.next()) yield new Tuple([item, this])
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case 'index':
        return this.index0 + 1
      case 'index0':
        return this.index0
      case 'revindex':
        return this.len() - this.index0
      case 'revindex0':
        return this.len() - this.index0 - 1
      case 'first':
        return this.index0 === 0
      case 'last':
        return this.peek() === undefined
      case 'length':
        return this.len()
      case 'depth':
        return this.depth0 + 1
      case 'depth0':
        return this.depth0
      case 'previtem':
        return this.index0 === 0 ? new Undefined(() => 'there is no previous item') : this.before
      case 'nextitem':
        return this.following()
      case 'cycle':
        return this.method('cycle', (args) => this.cycle(args))
      case 'changed':
        return this.method('changed', (args) => this.changed(args))
      default:
        return undefined
    }
  }

  private following(): Value {
    const item = this.peek()
    return item === undefined ? new Undefined(() => 'there is no next item') : item
  }

  private method(name: string, call: (args: readonly Value[]) => Value): Callable {
    return new Callable(
      name,
      (args, kwargs) => {
        if (kwargs.size > 0) throw new TemplateFault(`${name}() takes no keyword arguments`)
        return call(args)
      },
      `<bound method LoopContext.${name} of ${this.repr()}>`,
    )
  }

  private cycle(values: readonly Value[]): Value {
    if (values.length === 0) throw new TemplateFault('no items for cycling given')
    return values[this.index0 % values.length]
  }

  private changed(values: readonly Value[]): boolean {
    const { lastChanged } = this
    const same =
      lastChanged?.length === values.length &&
      lastChanged.every((value, i) => value === values[i] || equals(value, values[i]))
    if (!same) this.lastChanged = values
    return !same
  }

  override repr(): string {
    return `<LoopContext ${this.index0 + 1}/${this.len()}>`
  }
}
