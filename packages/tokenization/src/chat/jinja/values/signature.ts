import { TemplateFault } from './fault'
import type { Kwargs, Value } from './value'

/** The parameters of a function: names in order, which must be given, and whether names may be used in a call. */
export interface Signature {
  names: readonly string[]
  required: number
  positionalOnly: boolean
}

/** Reads a signature as `"sep? maxsplit?"`; `?` marks what may be left out, a leading `/` that no name may be used. */
export function signature(text: string): Signature {
  const positionalOnly = text.startsWith('/')
  const words = text.replace('/', '').split(' ').filter(Boolean)
  return {
    names: words.map((word) => word.replace('?', '')),
    required: words.filter((word) => !word.endsWith('?')).length,
    positionalOnly,
  }
}

/** Puts the arguments of a call in the order of the parameters; undefined where one is left out. */
export function bind(
  what: string,
  { names, required, positionalOnly }: Signature,
  args: readonly Value[],
  kwargs: Kwargs,
): readonly (Value | undefined)[] {
  if (args.length > names.length)
    throw new TemplateFault(`${what}() takes at most ${names.length} arguments (${args.length} given)`)
  if (kwargs.size === 0) {
    if (args.length < required) throw new TemplateFault(`${what}() is missing the argument '${names[args.length]}'`)
    return args
  }
  if (positionalOnly) throw new TemplateFault(`${what}() takes no keyword arguments`)
  const bound: (Value | undefined)[] = [...args]
  for (const [name, value] of kwargs) {
    const at = names.indexOf(name)
    if (at === -1) throw new TemplateFault(`${what}() got an unexpected keyword argument '${name}'`)
    if (at < args.length) throw new TemplateFault(`${what}() got multiple values for argument '${name}'`)
    bound[at] = value
  }
  for (let i = 0; i < required; i++)
    if (bound[i] === undefined) throw new TemplateFault(`${what}() is missing the argument '${names[i]}'`)
  return bound
}
