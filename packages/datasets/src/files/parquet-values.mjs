/**
 * What the values of a Parquet column are, beyond what the decoder knows: exact decimals, times of day, maps as pairs,
 * floating-point numbers. Plain JavaScript, as the thread's own file.
 *
 * @import { SchemaElement, SchemaTree } from 'hyparquet'
 * @import { ValueShape } from './parquet-decoder'
 * @typedef {(value: any) => unknown} Convert from what the decoder gives, which is not null
 * @typedef {{ convert?: Convert, shape?: ValueShape }} Values
 * @typedef {{ name: string, convert: Convert, shape?: ValueShape }} Column
 */
import { constants } from 'node:buffer'

/** An error whose message is for the user as it is. @param {string} message @param {string} [remedy] */
export const told = (message, remedy) => Object.assign(new Error(message), { told: true, remedy })

/** The error of a value that no string can hold. @param {number} bytes */
export const tooLong = (bytes) =>
  told(
    `A value of ${Math.round(bytes / 2 ** 20)} MB is longer than this runtime's longest text, ${Math.round(constants.MAX_STRING_LENGTH / 2 ** 20)} MB`,
    'Cut the text into several rows, or leave the column out: columns: [...]',
  )

/**
 * A decimal as the number that has the same digits; as text where no number has.
 *
 * @param {bigint} unscaled
 * @param {number} scale
 */
export function decimal(unscaled, scale) {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
  const plain = text.includes('.') ? text.replace(/\.?0+$/, '') : text
  const number = Number(plain)
  const significant = plain.replace('.', '').replace(/^0+|0+$/g, '').length
  const sign = unscaled < 0n ? '-' : ''
  if (significant <= 15 || String(number) === plain) return unscaled < 0n ? -number : number
  return sign + plain
}

/** A big-endian two's complement integer. @param {Uint8Array} bytes */
function integerOf(bytes) {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return BigInt.asIntN(8 * bytes.length, value)
}

/**
 * 64-bit integers become numbers where a number holds them exactly; bytes are cut free from the page they lie in.
 *
 * @type {Convert}
 */
function plain(value) {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (typeof value !== 'object' || value === null || value instanceof Date) return value ?? null
  if (value instanceof Uint8Array) return value.slice()
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(/** @type {never} */ (value), plain)
  for (const key in value) value[key] = plain(value[key])
  return value
}

/** @param {Convert} convert @returns {Convert} */
const unlessNull = (convert) => (value) => (value === null || value === undefined ? null : convert(value))

/** What is converted here is hidden from the decoder. @param {SchemaElement} element */
function hideType(element) {
  delete element.converted_type
  delete element.logical_type
}

/** @param {SchemaElement} element @returns {Values} */
function leaf(element) {
  const { type, converted_type: converted, logical_type: logical, scale = 0 } = element
  if (converted === 'DECIMAL' || logical?.type === 'DECIMAL') {
    hideType(element)
    return { convert: (value) => decimal(value instanceof Uint8Array ? integerOf(value) : BigInt(value), scale) }
  }
  if (logical?.type === 'TIME' || converted === 'TIME_MILLIS' || converted === 'TIME_MICROS') {
    const unit = logical?.type === 'TIME' ? logical.unit : converted?.slice('TIME_'.length)
    const perMillisecond = unit === 'NANOS' ? 1_000_000 : unit === 'MICROS' ? 1000 : 1
    hideType(element)
    return { convert: (value) => new Date(Math.floor(Number(value) / perMillisecond)) }
  }
  if (converted === 'JSON' || logical?.type === 'JSON') {
    element.converted_type = 'UTF8'
    delete element.logical_type
    return { shape: { json: true } }
  }
  const isFloat = type === 'DOUBLE' || type === 'FLOAT' || logical?.type === 'FLOAT16'
  return isFloat ? { shape: { float: true } } : {}
}

/** @param {Values} item @returns {Values} */
function list({ convert, shape }) {
  const each = convert && unlessNull(convert)
  return {
    ...(each && { convert: (value) => Array.from(value, each) }),
    ...(shape && { shape: { list: shape } }),
  }
}

/** @param {SchemaTree[]} children @returns {Values} */
function struct(children) {
  const fields = children.map((child) => ({ name: child.element.name, ...valuesOf(child) }))
  const converts = fields.map(({ name, convert }) => /** @type {const} */ ([name, unlessNull(convert ?? plain)]))
  const names = fields.map(({ name }) => name)
  const shapes = fields.flatMap(({ name, shape }) => (shape ? [/** @type {const} */ ([name, shape])] : []))
  const reordered = names.some((name) => /^\d+$/.test(name))
  return {
    ...(fields.some(({ convert }) => convert) && {
      convert: (value) => Object.fromEntries(converts.map(([name, convert]) => [name, convert(value[name])])),
    }),
    ...((shapes.length > 0 || reordered) && {
      shape: { fields: Object.fromEntries(shapes), ...(reordered && { keys: names }) },
    }),
  }
}

/** A map: a list of its entries, so that a key may occur twice and need not be text. @param {SchemaTree} entry @returns {Values} */
function pairs({ element, children }) {
  const [key, value] = /** @type {[SchemaTree, SchemaTree]} */ (children)
  const [keys, values] = [valuesOf(key), valuesOf(value)]
  const [convertKey, convertValue] = [unlessNull(keys.convert ?? plain), unlessNull(values.convert ?? plain)]
  return {
    convert: (map) =>
      Array.from(map[element.name], (pair) => [
        convertKey(pair[key.element.name]),
        convertValue(pair[value.element.name]),
      ]),
    ...((keys.shape || values.shape) && { shape: { pair: [keys.shape, values.shape] } }),
  }
}

/** The values of a node, those of a repeated one as a list. @param {SchemaTree} node @returns {Values} */
function valuesOf({ element, children }) {
  const { converted_type: converted, logical_type: logical } = element
  const [inner] = children
  const items = inner && children.length === 1 && inner.element.repetition_type === 'REPEATED' ? inner : undefined
  if (
    items &&
    (converted === 'MAP' || converted === 'MAP_KEY_VALUE' || logical?.type === 'MAP') &&
    items.children.length === 2
  ) {
    hideType(element)
    return pairs(items)
  }
  if (items && converted === 'LIST') {
    if (items.children.length < 2) return list(items.children[0] ? valuesOf(items.children[0]) : leaf(items.element))
    // A list of structs in the form that older writers use.
    const { convert = plain, shape } = list(struct(items.children))
    return { convert: (value) => convert(value[items.element.name]), ...(shape && { shape }) }
  }
  const one = children.length === 0 ? leaf(element) : struct(children)
  return element.repetition_type === 'REPEATED' ? list(one) : one
}

/**
 * The columns of a schema, which is changed so that the decoder gives what is converted here.
 *
 * @param {SchemaTree} schema
 * @returns {Column[]}
 */
export function columnsOf(schema) {
  return schema.children.map((child) => {
    const { convert = plain, shape } = valuesOf(child)
    return { name: child.element.name, convert: unlessNull(convert), ...(shape && { shape }) }
  })
}
