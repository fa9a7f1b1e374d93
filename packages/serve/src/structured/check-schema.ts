import { badRequest } from '../errors'

type Schema = Record<string, unknown>

const MOST_DEPTH = 32
const MOST_PARTS = 2000
const MOST_ITEMS = 4096
const TYPES = ['object', 'array', 'string', 'integer', 'number', 'boolean', 'null']
/** Say nothing that an answer must keep. */
const NOTES = [
  'title',
  'description',
  'default',
  'examples',
  '$schema',
  '$id',
  '$comment',
  'deprecated',
  'readOnly',
  'writeOnly',
]
const DEFINITIONS = ['$defs', 'definitions']
/** Which type a keyword is about. */
const OF_TYPE: Record<string, string[]> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
}
/** What stands instead of a type; only notes may stand beside it. */
const ALONE = ['$ref', 'anyOf', 'allOf', 'const']
const FORMATS = ['uuid']
/** What needs no escape in a JSON string. */
const NAME = /^[^"\\\p{Cc}]*$/u
/** Letters, digits, some marks, classes of them, groups, alternatives and counts: nothing that could end a JSON string or need an escape in one. */
const PATTERN =
  /^(?:[A-Za-z0-9 _\-:@#%,;=!~&/<>'`]|\\[dw.+*?()[\]{}|^$/-]|\[(?:[A-Za-z0-9 _:@#%,;=!~&/.+*?()<>'`-]|\\[dw.-])+\]|\(\?:|[()|*+?^$]|\{\d{1,3}(?:,\d{0,3})?\})*$/

const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0

/**
 * A JSON schema whose every word holds in the answer, as the grammar takes it: objects have the properties that are named and no others.
 *
 * @throws {RequestError} 400 with the place and the word that could not be kept.
 */
export function checkSchema(root: unknown, where: string): Schema {
  let parts = 0
  const refuse = (path: string, what: string): never => {
    throw badRequest(`${path}: ${what}`, 'invalid_json_schema', where)
  }
  const count = (schema: Schema, key: string, path: string, most = MOST_ITEMS): number | undefined => {
    const value = schema[key]
    if (value === undefined) return undefined
    if (!isCount(value) || value > most) refuse(`${path}.${key}`, `must be a whole number from 0 to ${most}`)
    return value as number
  }
  const ordered = (low: number | undefined, high: number | undefined, path: string) => {
    if (low !== undefined && high !== undefined && low > high) refuse(path, 'its least is above its most')
  }

  function object(schema: Schema, path: string, depth: number): Schema {
    const { properties = {}, required = [], additionalProperties = true } = schema
    if (!isObject(properties)) return refuse(`${path}.properties`, 'must be an object')
    if (!Array.isArray(required) || required.some((name) => typeof name !== 'string'))
      return refuse(`${path}.required`, 'must be a list of names')
    const names = Object.keys(properties)
    const missing = (required as string[]).find((name) => !names.includes(name))
    if (missing !== undefined) refuse(`${path}.required`, `${JSON.stringify(missing)} is none of the properties`)
    if (typeof additionalProperties !== 'boolean' && names.length > 0)
      refuse(`${path}.additionalProperties`, 'beside properties it must be true or false')
    const odd = names.find((name) => !NAME.test(name))
    if (odd !== undefined)
      refuse(`${path}.properties`, `a name may hold no quote, backslash or line end: ${JSON.stringify(odd)}`)
    const named = Object.fromEntries(
      names.map((name) => [name, one(properties[name], `${path}.properties.${name}`, depth + 1)]),
    )
    const others =
      typeof additionalProperties === 'boolean'
        ? names.length === 0 && additionalProperties
        : one(additionalProperties, `${path}.additionalProperties`, depth + 1)
    return { type: 'object', properties: named, required, additionalProperties: others }
  }

  function array(schema: Schema, path: string, depth: number): Schema {
    const { items, prefixItems } = schema
    const [low, high] = [count(schema, 'minItems', path), count(schema, 'maxItems', path)]
    ordered(low, high, path)
    if (prefixItems !== undefined) return refuse(`${path}.prefixItems`, 'is not here; use an object')
    if (items !== undefined && !isObject(items)) return refuse(`${path}.items`, 'must be a schema')
    return {
      type: 'array',
      items: items === undefined ? {} : one(items, `${path}.items`, depth + 1),
      ...(low !== undefined && { minItems: low }),
      ...(high !== undefined && { maxItems: high }),
    }
  }

  function string(schema: Schema, path: string): Schema {
    const { pattern, format } = schema
    const [low, high] = [count(schema, 'minLength', path), count(schema, 'maxLength', path)]
    ordered(low, high, path)
    const given = [pattern, format, low ?? high].filter((value) => value !== undefined)
    if (given.length > 1) refuse(path, 'takes one of pattern, format and lengths')
    if (pattern !== undefined && (typeof pattern !== 'string' || !PATTERN.test(pattern)))
      refuse(`${path}.pattern`, 'must be made of letters, digits, classes of them, groups, alternatives and counts')
    if (format !== undefined && !FORMATS.includes(format as string))
      refuse(`${path}.format`, `must be one of ${FORMATS.join(', ')}; others say with a pattern`)
    return {
      type: 'string',
      ...(pattern !== undefined && { pattern }),
      ...(format !== undefined && { format }),
      ...(low !== undefined && { minLength: low }),
      ...(high !== undefined && { maxLength: high }),
    }
  }

  function integer(schema: Schema, path: string): Schema {
    const bound = (key: string, step: number): number | undefined => {
      const value = schema[key]
      if (value === undefined) return undefined
      if (!Number.isSafeInteger(value)) refuse(`${path}.${key}`, 'must be a whole number')
      return (value as number) + step
    }
    const lows = [bound('minimum', 0), bound('exclusiveMinimum', 1)].filter((value) => value !== undefined)
    const highs = [bound('maximum', 0), bound('exclusiveMaximum', -1)].filter((value) => value !== undefined)
    const low = lows.length > 0 ? Math.max(...lows) : undefined
    const high = highs.length > 0 ? Math.min(...highs) : undefined
    ordered(low, high, path)
    return {
      type: 'integer',
      ...(low !== undefined && { minimum: low }),
      ...(high !== undefined && { maximum: high }),
    }
  }

  function ofType(type: string, schema: Schema, path: string, depth: number): Schema {
    if (type === 'object') return object(schema, path, depth)
    if (type === 'array') return array(schema, path, depth)
    if (type === 'string') return string(schema, path)
    if (type === 'integer') return integer(schema, path)
    if (type === 'number' && OF_TYPE.integer!.some((key) => key in schema))
      return refuse(path, 'bounds are kept for integers alone')
    return { type }
  }

  function instead(key: string, schema: Schema, path: string, depth: number): Schema {
    const value = schema[key]
    if (key === 'const') return { enum: [value] }
    if (key === '$ref') {
      const [, where, name] = /^#\/(\$defs|definitions)\/([^/~%]+)$/.exec(String(value)) ?? []
      const known = value === '#' || (where !== undefined && isObject(base[where]) && Object.hasOwn(base[where], name!))
      return known ? { $ref: value } : refuse(`${path}.$ref`, 'must be "#" or a name under "#/$defs/"')
    }
    if (!Array.isArray(value) || value.length === 0) return refuse(`${path}.${key}`, 'must be a list of schemas')
    if (key === 'allOf' && value.length > 1) return refuse(`${path}.allOf`, 'takes one schema; put them together')
    const all = value.map((part, i) => one(part, `${path}.${key}.${i}`, depth + 1))
    return key === 'allOf' ? all[0]! : { anyOf: all }
  }

  function one(schema: unknown, path: string, depth: number): Schema {
    if (++parts > MOST_PARTS) refuse(path, `a schema may have ${MOST_PARTS} parts`)
    if (depth > MOST_DEPTH) refuse(path, `a schema may be ${MOST_DEPTH} deep`)
    if (!isObject(schema)) return refuse(path, 'must be a schema')
    const keys = Object.keys(schema).filter(
      (key) => !NOTES.includes(key) && !(depth === 0 && DEFINITIONS.includes(key)),
    )
    const known = ['type', 'enum', ...ALONE, ...Object.values(OF_TYPE).flat()]
    const unknown = keys.find((key) => !known.includes(key))
    if (unknown !== undefined) refuse(path, `${JSON.stringify(unknown)} could not be kept`)
    const alone = keys.find((key) => ALONE.includes(key))
    if (alone !== undefined)
      return keys.length === 1
        ? instead(alone, schema, path, depth)
        : refuse(path, `nothing may stand beside "${alone}"`)
    const { type, enum: values } = schema
    const types = type === undefined ? undefined : [type].flat()
    if (types && (types.length === 0 || types.some((name) => !TYPES.includes(name as string))))
      refuse(`${path}.type`, `must be of ${TYPES.join(', ')}`)
    if (values !== undefined) {
      if (!Array.isArray(values) || values.length === 0) refuse(`${path}.enum`, 'must be a list of values')
      if (keys.some((key) => key !== 'enum' && key !== 'type'))
        refuse(path, 'nothing but a type may stand beside "enum"')
      const kept = (values as unknown[]).filter((value) => !types || types.some((name) => isOf(name as string, value)))
      return kept.length > 0 ? { enum: kept } : refuse(`${path}.enum`, 'no value is of the type')
    }
    const about = Object.entries(OF_TYPE).filter(([, words]) => words.some((word) => keys.includes(word)))
    const foreign = about.find(
      ([name]) => types && !types.includes(name) && !(name === 'integer' && types.includes('number')),
    )
    if (foreign) refuse(path, `its words are about "${foreign[0]}", and its type is another one`)
    const chosen = (types as string[] | undefined) ?? about.map(([name]) => name)
    // Nothing is said of it: any value.
    if (chosen.length === 0)
      return { anyOf: TYPES.filter((name) => name !== 'integer').map((name) => ofType(name, {}, path, depth)) }
    const made = chosen.map((name) => ofType(name, schema, path, depth))
    return made.length === 1 ? made[0]! : { anyOf: made }
  }

  if (!isObject(root)) return refuse('schema', 'must be an object')
  const base = root
  const checked = one(base, 'schema', 0)
  const definitions = DEFINITIONS.filter((key) => key in base).map((key) => {
    const of = base[key]
    if (!isObject(of)) return refuse(`schema.${key}`, 'must be an object')
    return [
      key,
      Object.fromEntries(Object.entries(of).map(([name, part]) => [name, one(part, `schema.${key}.${name}`, 1)])),
    ]
  })
  return { ...checked, ...Object.fromEntries(definitions) }
}

/** Whether a value is of a type of JSON schema. */
function isOf(type: string, value: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  return type === 'object' ? isObject(value) : typeof value === type
}
