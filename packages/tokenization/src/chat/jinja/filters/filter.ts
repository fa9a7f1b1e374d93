import { itemOf } from '../methods/access'
import { markupMethod } from '../methods/markup-methods'
import { TEXT_METHODS } from '../methods/text-methods'
import { spend } from '../values/budget'
import { TemplateFault } from '../values/fault'
import { text } from '../values/repr'
import { bind, signature } from '../values/signature'
import { isText, type Kwargs, type Markup, textOf, Undefined, type Value } from '../values/value'

/** What filters and tests know of the rendering. */
export interface Environment {
  /** Whether what is printed now is escaped. */
  readonly autoescape: boolean
  /** @throws {TemplateFault} for a name that no filter has. */
  filter(name: Value): Filter
  test(name: Value): Test
}

export type Filter = (environment: Environment, value: Value, args: readonly Value[], kwargs: Kwargs) => Value
export type Test = (environment: Environment, value: Value, args: readonly Value[], kwargs: Kwargs) => boolean

/** A filter by the signature of the arguments after the value. */
export function filter(
  parameters: string,
  call: (value: Value, args: readonly (Value | undefined)[], environment: Environment) => Value,
): Filter {
  const expected = signature(parameters)
  return (environment, value, args, kwargs) => call(value, bind('the filter', expected, args, kwargs), environment)
}

/** Any value as text; Markup stays Markup. */
export function softText(value: Value): string | Markup {
  const soft = isText(value) ? value : text(value)
  spend(textOf(soft).length)
  return soft
}

/** Calls a method of str or Markup. */
export function callText(self: string | Markup, name: string, ...args: Value[]): Value {
  if (typeof self === 'string') return TEXT_METHODS[name](name, self, args)
  return markupMethod(name)!(name, self.text, args)
}

/** A text argument that must be one. */
export function needText(value: Value): string {
  if (isText(value)) return textOf(value)
  throw new TemplateFault('a string is required')
}

/** Texts as the sorting filters compare them unless told otherwise. */
export function ignoreCase(value: Value): Value {
  if (!isText(value)) return value
  spend(textOf(value).length)
  return textOf(value).toLowerCase()
}

export type Getter = (item: Value) => Value

const same: Getter = (value) => value

/** A getter of an attribute path: `"address.city"`, `"0"`, an index, or nothing for the item itself. */
export function attributeGetter(attribute: Value | undefined, after: Getter = same, otherwise: Value = null): Getter {
  const path = pathOf(attribute ?? null)
  return (item) => {
    let value = item
    for (const key of path) {
      value = itemOf(value, key)
      if (otherwise !== null && value instanceof Undefined) value = otherwise
    }
    return after(value)
  }
}

/** A getter of several attributes, `"age,name"`, as a list. */
export function attributesGetter(attributes: Value | undefined, after: Getter = same): Getter {
  const names = attributes !== undefined && isText(attributes) ? textOf(attributes).split(',') : [attributes]
  const getters = names.map((name) => attributeGetter(name, after))
  return (item) => getters.map((get) => get(item))
}

function pathOf(attribute: Value): Value[] {
  if (attribute === null) return []
  if (!isText(attribute)) return [attribute]
  return textOf(attribute)
    .split('.')
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}
