import { Callable, Markup, PyObject, Undefined, type Value } from '../values/value'
import type { Context, Runtime } from './runtime'

/** `self`: the template's blocks by name, each a function that renders it. */
export class BlockReferences extends PyObject {
  readonly typeName = 'TemplateReference'

  constructor(
    private readonly runtime: Runtime,
    private readonly context: Context,
  ) {
    super()
  }

  override attribute(name: string): Value | undefined {
    return this.runtime.blocks.has(name) ? new BlockReference(this.runtime, name, this.context) : undefined
  }

  override repr(): string {
    return '<TemplateReference None>'
  }
}

class BlockReference extends Callable {
  override readonly typeName = 'BlockReference'

  constructor(runtime: Runtime, name: string, context: Context) {
    super(name, () => {
      runtime.capture((inside) => inside.printBlock(name, context), undefined!)
      return runtime.autoescape ? new Markup(runtime.captured) : runtime.captured
    })
  }

  override attribute(name: string): Value | undefined {
    if (name === 'name') return this.name
    return name === 'super' ? noParent(this.name) : undefined
  }
}

/** `super()`: there is no template this one extends. */
export function noParent(block: string): Undefined {
  return new Undefined(() => `there is no parent block called '${block}'.`)
}
