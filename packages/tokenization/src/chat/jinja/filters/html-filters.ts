import { stripTags } from '../methods/html'
import { spend, take } from '../values/budget'
import { Dict } from '../values/dict'
import { TemplateFault } from '../values/fault'
import { iterable, unpack } from '../values/iterate'
import { escaped } from '../values/operators'
import { repr, text } from '../values/repr'
import { escapeMarkup } from '../values/text'
import { isText, Markup, textOf, truthy, typeName, Undefined, type Value } from '../values/value'
import { type Environment, type Filter, filter } from './filter'
import { urlize } from './urlize'

const escapeFilter = filter('', (value) => new Markup(escaped(value)))

function forceEscape(value: Value): Markup {
  const plain = text(value)
  take(plain.length)
  return new Markup(escapeMarkup(plain))
}

function attributes(
  value: Value,
  [autospace = true]: readonly (Value | undefined)[],
  { autoescape }: Environment,
): Value {
  if (!(value instanceof Dict)) {
    if (value instanceof Undefined) value.fail()
    throw new TemplateFault(`'${typeName(value)}' object has no attribute 'items'`)
  }
  const parts: string[] = []
  for (const [key, item] of value.items()) {
    if (item === null || item instanceof Undefined) continue
    if (!isText(key)) throw new TemplateFault(`expected string or bytes-like object, got '${typeName(key)}'`)
    if (/[ \t\n\r\f\v/>=]/.test(textOf(key)))
      throw new TemplateFault(`Invalid character in attribute name: ${repr(key)}`)
    parts.push(`${escaped(key)}="${escaped(item)}"`)
  }
  const joined = parts.join(' ')
  const out = truthy(autospace) && joined !== '' ? ` ${joined}` : joined
  take(out.length)
  return autoescape ? new Markup(out) : out
}

function quote(value: Value, inQuery: boolean): string {
  const plain = isText(value) ? textOf(value) : text(value)
  take(plain.length)
  if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(plain))
    throw new TemplateFault("'utf-8' codec can't encode a lone surrogate")
  const quoted = encodeURIComponent(plain).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
  return inQuery ? quoted.replaceAll('%20', '+') : quoted.replaceAll('%2F', '/')
}

function urlEncode(value: Value): string {
  const items = isText(value) ? undefined : iterable(value)
  if (items === undefined) return quote(value, false)
  const pairs = value instanceof Dict ? value.items() : Array.from(items, (item) => unpack(item, 2))
  return pairs.map(([key, item]) => `${quote(key, true)}=${quote(item, true)}`).join('&')
}

export const HTML_FILTERS: Record<string, Filter> = {
  e: escapeFilter,
  escape: escapeFilter,
  forceescape: filter('', forceEscape),
  safe: filter('', (value) => (value instanceof Markup ? value : new Markup(text(value)))),
  striptags: filter('', (value) => {
    const plain = text(value)
    spend(plain.length)
    return stripTags(plain)
  }),
  urlencode: filter('', urlEncode),
  urlize: filter('trim_url_limit? nofollow? target? rel? extra_schemes?', urlize),
  xmlattr: filter('autospace?', attributes),
}
