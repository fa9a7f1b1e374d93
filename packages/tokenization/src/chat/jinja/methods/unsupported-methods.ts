import { Unsupported } from '../values/fault'

/** Methods of Python's types that are not here, with the type: they need bytes, or tables of characters. */
const UNSUPPORTED: Record<string, string> = {
  encode: 'str',
  maketrans: 'str',
  translate: 'str',
  to_bytes: 'int',
  from_bytes: 'int',
  hex: 'float',
  fromhex: 'float',
}

/** What is said of a call of such a method; undefined for other names. No value of a row has a function of its own. */
export function unsupportedCall(name: string): string | undefined {
  return Object.hasOwn(UNSUPPORTED, name) ? `${UNSUPPORTED[name]}.${name} is not supported` : undefined
}

export const unsupported = (name: string) => (): never => {
  throw new Unsupported(unsupportedCall(name))
}
