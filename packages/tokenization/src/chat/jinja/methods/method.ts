import { spend, take } from '../values/budget'
import { bind, signature } from '../values/signature'
import { isText, type Kwargs, NO_KWARGS, textOf, type Value } from '../values/value'

export type Method<Self> = (name: string, self: Self, args: readonly Value[], kwargs?: Kwargs) => Value

/** A method by the signature of its arguments, with the work and the values counted. */
export function method<Self>(
  parameters: string,
  call: (self: Self, ...args: (Value | undefined)[]) => Value,
): Method<Self> {
  const expected = signature(parameters)
  return (name, self, args, kwargs = NO_KWARGS) => {
    if (typeof self === 'string') spend(self.length)
    const result = call(self, ...bind(name, expected, args, kwargs))
    countResult(result)
    return result
  }
}

function countResult(result: Value): void {
  if (typeof result === 'object' && result !== null) {
    if (Array.isArray(result)) {
      let size = 0
      for (const item of result) size += 8 + (isText(item) ? textOf(item).length : 0)
      take(size)
    }
  } else if (typeof result === 'string') take(result.length)
}
