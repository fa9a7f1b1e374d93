import type { BlockStatement, Statement } from '../language/ast'
import { parseTemplate } from '../language/parser'
import { enter, leave } from '../values/budget'
import { TemplateSyntaxFault } from '../values/fault'
import type { Value } from '../values/value'
import { BlockReferences, noParent } from './blocks'
import { blocksIn, compileBody } from './compile-statement'
import { compileEntry } from './entry'
import { Frame, NO_ESCAPING } from './frame'
import { mentioned } from './mentions'
import { Context, NEXT, type Run, type Runtime, type Signal } from './runtime'
import { FunctionScope, Symbols } from './symbols'

/** A template, ready to be rendered any number of times. */
export interface Template {
  /** Whether it marks what the assistant writes (transformers' `{% generation %}`). */
  generates: boolean
  /** Runs it; what it prints is then in the runtime. */
  render(runtime: Runtime, resolve: (name: string) => Value | undefined): void
}

/** @throws {TemplateSyntaxFault} for what is not well formed or not supported, wherever in the template it stands. */
export function compileTemplate(source: string): Template {
  const body = parseTemplate(source)
  const root = compileRoot(body, undefined)
  const blocks = compileBlocks(body)
  return {
    generates: hasGeneration(body),
    render(runtime, resolve) {
      runtime.blocks = blocks
      root(runtime, new Context(resolve))
    },
  }
}

export type BlockRun = (runtime: Runtime, context: Context) => Signal

function compileBlocks(body: readonly Statement[]): Map<string, BlockRun> {
  const blocks = new Map<string, BlockRun>()
  for (const block of blocksIn(body)) {
    if (blocks.has(block.name)) throw new TemplateSyntaxFault(`block '${block.name}' defined twice`, block.line)
    blocks.set(block.name, compileRoot(block.body, block))
  }
  return blocks
}

/** The template itself, or one of its blocks, which see nothing of each other but the context. */
function compileRoot(body: readonly Statement[], block: BlockStatement | undefined): BlockRun {
  const scope = new FunctionScope(undefined)
  const symbols = new Symbols(scope)
  const used = mentioned(body, ['self', 'super'])
  const self = used.has('self') ? symbols.parameter('self') : undefined
  const parent = block && used.has('super') ? symbols.parameter('super') : undefined
  symbols.enterBody(body)
  const frame = new Frame(symbols, NO_ESCAPING, block === undefined)
  const run: Run = compileBody(body, frame)
  const entry = compileEntry(frame)
  return (runtime, context) => {
    enter()
    const activation = { slots: new Array(scope.size), parent: undefined, context }
    if (self) activation.slots[self.index] = new BlockReferences(runtime, context)
    if (parent) activation.slots[parent.index] = noParent(block!.name)
    entry(activation)
    run(runtime, activation)
    leave()
    return NEXT
  }
}

function hasGeneration(body: readonly Statement[]): boolean {
  return body.some((node) => {
    if (node.type === 'call block' && node.call === 'generation') return true
    return (
      ('body' in node && hasGeneration(node.body)) ||
      ('elifs' in node && hasGeneration(node.elifs)) ||
      ('otherwise' in node && hasGeneration(node.otherwise))
    )
  })
}
