import { iterate } from '../values/iterate'
import { escaped } from '../values/operators'
import { isText, type Kwargs, Markup, NO_KWARGS, Tuple, textOf, type Value } from '../values/value'
import { stripTags, unescapeMarkup } from './html'
import { type Method, method } from './method'
import { join, TEXT_METHODS } from './text-methods'
import { unsupported } from './unsupported-methods'

/** The methods of str whose result is Markup again; the others give what they give for str. */
const KEEP_MARKUP = new Set(
  'capitalize casefold center expandtabs ljust lower lstrip partition removeprefix removesuffix replace rjust rpartition rsplit rstrip split splitlines strip swapcase title upper zfill'.split(
    ' ',
  ),
)

/** The argument that a method puts into the text, and so escapes. */
const ESCAPED_ARGUMENT: Record<string, number> = { replace: 1, ljust: 1, rjust: 1, center: 1 }

const OWN: Record<string, Method<string>> = {
  join: method('/iterable', (self, items) => new Markup(join(self, iterate(items!), escaped))),
  unescape: method('/', (self) => unescapeMarkup(self)),
  striptags: method('/', (self) => stripTags(self)),
  escape: method('/s', (_self, value) => new Markup(escaped(value!))),
  encode: unsupported('encode'),
}

/** Whether Markup has a method of its own where str has one too. */
export function isMarkupMethod(name: string): boolean {
  return KEEP_MARKUP.has(name) || Object.hasOwn(OWN, name)
}

/** The method `name` of Markup, or undefined. */
export function markupMethod(name: string): Method<string> | undefined {
  if (Object.hasOwn(OWN, name)) return OWN[name]
  const plain = Object.hasOwn(TEXT_METHODS, name) ? TEXT_METHODS[name] : undefined
  if (!plain || !KEEP_MARKUP.has(name)) return plain
  return (label: string, self: string, args: readonly Value[], kwargs: Kwargs = NO_KWARGS) => {
    const at = ESCAPED_ARGUMENT[name]
    const safe = at === undefined || at >= args.length ? args : args.with(at, escaped(args[at]))
    return asMarkup(plain(label, self, safe, kwargs))
  }
}

function asMarkup(value: Value): Value {
  if (isText(value)) return new Markup(textOf(value))
  if (Array.isArray(value)) return value.map(asMarkup)
  return value instanceof Tuple ? new Tuple(value.items.map(asMarkup)) : value
}
