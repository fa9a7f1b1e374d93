import { FILTERS } from '../filters'
import type { Environment, Filter, Test } from '../filters/filter'
import { TESTS } from '../filters/tests'
import { LIMITS, take } from '../values/budget'
import { OverBudget, TemplateFault } from '../values/fault'
import { text } from '../values/repr'
import type { Value } from '../values/value'

/** Where names that nothing in the template sets are looked up. */
export class Context {
  /** What the template sets outside of any scope: blocks see it. */
  readonly exported = new Map<string, Value>()

  constructor(private readonly base: (name: string) => Value | undefined) {}

  resolve(name: string): Value | undefined {
    const value = this.exported.get(name)
    return value === undefined ? this.base(name) : value
  }
}

/** The variables of a running template, block, macro or recursive loop, and where those around it are. */
export interface Activation {
  slots: (Value | undefined)[]
  parent: Activation | undefined
  context: Context
}

export type Expr = (runtime: Runtime, activation: Activation) => Value
/** What a statement came to: to its end, or to a loop's. */
export const NEXT = 0
export const BREAK = 1
export const CONTINUE = 2
export type Signal = typeof NEXT | typeof BREAK | typeof CONTINUE
export type Run = (runtime: Runtime, activation: Activation) => Signal

type Span = [start: number, end: number]

/** One rendering: what has been printed, and where it stands. */
export class Runtime implements Environment {
  /** What has been printed, into the innermost buffer. */
  out = ''
  /** The line of the template that runs. */
  line = 1
  autoescape = false
  /** What stood between generation tags, in `out`. */
  spans: Span[] = []
  /** The same for texts that were printed into buffers; they count from where such a text is printed. */
  private readonly marked = new Map<string, Span[]>()
  /** How many generation blocks printed something. */
  private generated = 0

  emit(text: string): void {
    if (this.marked.size > 0) this.place(text)
    this.out += text
    if (this.out.length > LIMITS.size) throw new OverBudget(`prints more than ${LIMITS.size / 2 ** 20} MB`)
  }

  /** The template's blocks by name. */
  blocks: ReadonlyMap<string, (runtime: Runtime, context: Context) => Signal> = new Map()

  printBlock(name: string, context: Context): Signal {
    return this.blocks.get(name)!(this, context)
  }

  /** Runs `body` into a buffer of its own, which is then in `captured`. */
  capture(body: Run, activation: Activation): Signal {
    const { out, spans } = this
    this.out = ''
    this.spans = []
    const signal = body(this, activation)
    this.captured = this.out
    take(this.captured.length / 8)
    if (this.spans.length > 0) this.marked.set(this.captured, this.spans)
    this.out = out
    this.spans = spans
    return signal
  }
  captured = ''

  /** Prints what a generation block holds. */
  generate(text: string): void {
    if (text !== '') this.generated++
    const start = this.out.length
    this.emit(text)
    this.spans.push([start, this.out.length])
  }

  /** The spans of a text from a buffer, moved to where it is printed now. */
  private place(text: string): void {
    const at = this.out.length
    for (const [start, end] of this.marked.get(text) ?? []) this.spans.push([at + start, at + end])
  }

  /** Whether a generation block's text was changed or dropped on its way from a buffer to the template's text. */
  get lostSpans(): boolean {
    return this.spans.filter(([start, end]) => end > start).length < this.generated
  }

  filter(name: Value): Filter {
    const filter = typeof name === 'string' ? FILTERS.get(name) : undefined
    if (!filter) throw new TemplateFault(`No filter named '${text(name)}'.`)
    return filter
  }

  test(name: Value): Test {
    const test = typeof name === 'string' ? TESTS.get(name) : undefined
    if (!test) throw new TemplateFault(`No test named '${text(name)}'.`)
    return test
  }
}
