import { take } from '../values/budget'
import { TemplateFault } from '../values/fault'
import { formatValue } from '../values/format-spec'
import { isDigit } from '../values/letters'
import { escaped } from '../values/operators'
import { asciiRepr, repr, text } from '../values/repr'
import { Markup, type Value } from '../values/value'

/** How a replacement field goes from a value to its parts: with the sandbox's rules. */
export interface Lookup {
  attribute(value: Value, name: string): Value
  item(value: Value, key: Value): Value
}

/** Where replacement fields find their values. */
export interface Sources {
  positional(index: number): Value
  named(name: string): Value
}

/** `str.format`; with `markup`, what is put in is escaped. */
export function formatFields(template: string, sources: Sources, lookup: Lookup, markup: boolean): string {
  return new Formatter(sources, lookup, markup).run(template, 2)
}

interface Field {
  name: string
  conversion: string | undefined
  spec: string
}

class Formatter {
  /** The next automatic number, or false once fields are numbered by hand. */
  private automatic: number | false = 0

  constructor(
    private readonly sources: Sources,
    private readonly lookup: Lookup,
    private readonly markup: boolean,
  ) {}

  run(template: string, depth: number): string {
    if (depth < 0) throw new TemplateFault('Max string recursion exceeded')
    let out = ''
    for (const piece of pieces(template)) {
      const printed = typeof piece === 'string' ? piece : this.print(piece, depth)
      take(printed.length)
      out += printed
    }
    return out
  }

  private print({ name, conversion, spec }: Field, depth: number): string {
    const value = convert(this.valueOf(this.numbered(name)), conversion)
    const format = this.run(spec, depth - 1)
    if (!this.markup) return formatValue(value, format)
    if (value instanceof Markup) {
      if (format !== '') throw new TemplateFault('Unsupported format specification for Markup.')
      return value.text
    }
    return escaped(formatValue(value, format))
  }

  private numbered(name: string): string {
    if (name === '') {
      if (this.automatic === false)
        throw new TemplateFault('cannot switch from manual field specification to automatic field numbering')
      return String(this.automatic++)
    }
    if (isDigit(name)) {
      if (this.automatic)
        throw new TemplateFault('cannot switch from manual field specification to automatic field numbering')
      this.automatic = false
    }
    return name
  }

  private valueOf(name: string): Value {
    const [first] = /^[^.[]*/.exec(name)!
    let value = /^\d+$/.test(first) ? this.sources.positional(Number(first)) : this.sources.named(first)
    for (let rest = name.slice(first.length); rest !== ''; ) {
      const step = /^(?:\.([^.[]*)|\[([^\]]*)\])/.exec(rest)
      if (!step)
        throw new TemplateFault(
          rest.startsWith('[')
            ? "Missing ']' in format string"
            : "Only '.' or '[' may follow ']' in format field specifier",
        )
      const [whole, attribute, item] = step
      if ((attribute ?? item) === '') throw new TemplateFault('Empty attribute in format string')
      value =
        attribute !== undefined
          ? this.lookup.attribute(value, attribute)
          : this.lookup.item(value, /^\d+$/.test(item) ? Number(item) : item)
      rest = rest.slice(whole.length)
    }
    return value
  }
}

function convert(value: Value, conversion: string | undefined): Value {
  if (conversion === undefined) return value
  if (conversion === 's') return text(value)
  if (conversion === 'r') return repr(value)
  if (conversion === 'a') return asciiRepr(value)
  throw new TemplateFault(`Unknown conversion specifier ${conversion}`)
}

/** Literal text and replacement fields, in order. */
function* pieces(template: string): Generator<string | Field, void, undefined> {
  for (let at = 0; at < template.length; ) {
    const brace = /[{}]/g
    brace.lastIndex = at
    const found = brace.exec(template)
    if (!found) {
      yield template.slice(at)
      return
    }
    if (found.index > at) yield template.slice(at, found.index)
    at = found.index + 1
    if (template[at] === found[0]) {
      yield found[0]
      at++
    } else if (found[0] === '}') throw new TemplateFault("Single '}' encountered in format string")
    else {
      const end = fieldEnd(template, at)
      yield fieldOf(template.slice(at, end))
      at = end + 1
    }
  }
}

/** Where the brace closes that opened before `start`; braces inside are the spec's own fields. */
function fieldEnd(template: string, start: number): number {
  if (start >= template.length) throw new TemplateFault("Single '{' encountered in format string")
  let depth = 1
  let inItem = false
  let inSpec = false
  for (let at = start; at < template.length; at++) {
    const character = template[at]
    if (!inSpec && character === '[') inItem = true
    else if (inItem && character === ']') inItem = false
    else if (inItem) continue
    else if (character === ':' || character === '!') inSpec = true
    else if (character === '{') depth++
    else if (character === '}' && --depth === 0) return at
  }
  throw new TemplateFault("expected '}' before end of string")
}

function fieldOf(body: string): Field {
  let at = 0
  for (let inItem = false; at < body.length; at++) {
    if (body[at] === '[') inItem = true
    else if (inItem) inItem = body[at] !== ']'
    else if (body[at] === ':' || body[at] === '!') break
    else if (body[at] === '{') throw new TemplateFault("unexpected '{' in field name")
  }
  const name = body.slice(0, at)
  if (body[at] !== '!') return { name, conversion: undefined, spec: body.slice(at + 1) }
  const conversion = body[at + 1]
  if (conversion === undefined) throw new TemplateFault('end of string while looking for conversion specifier')
  const after = body.slice(at + 2)
  if (after !== '' && after[0] !== ':') throw new TemplateFault("expected ':' after conversion specifier")
  return { name, conversion, spec: after.slice(1) }
}
