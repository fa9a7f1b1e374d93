import { reader } from './compile-expression'
import type { Frame } from './frame'
import type { Activation } from './runtime'
import type { FunctionScope } from './symbols'

/** New variables of a scope, inside of those of `parent`. */
export function activate(scope: FunctionScope, parent: Activation): Activation {
  return { slots: new Array(scope.size), parent, context: parent.context }
}

/** What a scope's variables begin with. */
export function compileEntry({ symbols, scope }: Frame): (activation: Activation) => void {
  const loads = [...symbols.loads].flatMap(([slot, load]) => {
    if (load.from === 'parameter') return []
    const read = load.from === 'outer' ? reader(load.slot, scope) : undefined
    const name = load.from === 'context' ? load.name : undefined
    return [{ index: slot.index, read, name }]
  })
  return (activation) => {
    for (const { index, read, name } of loads)
      activation.slots[index] = read
        ? read(activation)
        : name === undefined
          ? undefined
          : activation.context.resolve(name)
  }
}

/** Variables end with their scope, also for a macro that still sees them. */
export function compileExit({ symbols }: Frame): (activation: Activation) => void {
  const slots = [...symbols.loads.keys()].map(({ index }) => index)
  return (activation) => {
    for (const index of slots) activation.slots[index] = undefined
  }
}
