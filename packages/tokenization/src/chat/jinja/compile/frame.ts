import { TemplateSyntaxFault } from '../values/fault'
import { Markup } from '../values/value'
import type { Expr, Runtime } from './runtime'
import type { FunctionScope, Slot, Symbols } from './symbols'

/** What is known, when a template is compiled, of whether what it prints is escaped. */
export interface Escaping {
  /** What the innermost `autoescape` with a constant says. */
  constant: boolean
  /** An `autoescape` around asks a variable: only the rendering knows. */
  atRunTime: boolean
}

export const NO_ESCAPING: Escaping = { constant: false, atRunTime: false }

/** What the compiler knows at a place of the template. */
export class Frame {
  constructor(
    readonly symbols: Symbols,
    readonly escaping: Escaping = NO_ESCAPING,
    /** Outside of every tag with a scope of its own: what is set here, blocks see. */
    readonly toplevel = false,
    /** In a branch, where a filter or test that does not exist only matters when the branch is taken. */
    readonly soft = false,
    /** In a loop's body, where `break` has a meaning. */
    readonly inLoop = false,
    /** While a constant is worked out. */
    readonly folding = false,
  ) {}

  get scope(): FunctionScope {
    return this.symbols.owner
  }

  /** A scope inside, of the same activation or of one of its own. */
  inner(options: { owner?: FunctionScope; escaping?: Escaping; inLoop?: boolean } = {}): Frame {
    const { owner = this.scope, escaping = this.escaping, inLoop = owner === this.scope && this.inLoop } = options
    return new Frame(this.symbols.inner(owner), escaping, false, false, inLoop)
  }

  softened(): Frame {
    return new Frame(this.symbols, this.escaping, this.toplevel, true, this.inLoop, this.folding)
  }

  slotOf(name: string, line: number): Slot {
    const slot = this.symbols.find(name)
    // Jinja2 does not look for names in the filter of a set block, and so fails for those it has not seen elsewhere.
    if (!slot) throw new TemplateSyntaxFault(`the name '${name}' cannot be used in the filter of a set block`, line)
    return slot
  }

  /** Whether the template itself sets a name that is seen from here. */
  isSet(name: string): boolean {
    return this.symbols.stored().has(name)
  }

  folded(): Frame {
    return new Frame(this.symbols, this.escaping, this.toplevel, this.soft, this.inLoop, true)
  }

  /** The text of the block that a filter block or set block filters. */
  bufferText(): Expr {
    const { escaping } = this
    return (runtime) => {
      return escapes(escaping, runtime) ? new Markup(runtime.captured) : runtime.captured
    }
  }
}

/** Whether what is printed now is escaped. */
export function escapes({ constant, atRunTime }: Escaping, runtime: Runtime): boolean {
  return atRunTime ? runtime.autoescape : constant
}
