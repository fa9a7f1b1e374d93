import { invalidFile, invalidOptions, nearestName, notFound, parseOptions, unsupported } from '@tunesmith/core'
import type { SafetensorsDtype } from '@tunesmith/hub'
import { z } from 'zod'
import { type QuantType4bit, quantMap4bit } from './codebooks'
import { type FloatDtype, floatDtype } from './floats'
import type { Quantized4bit } from './four-bit/quantize'
import type { QuantizedInt8 } from './int8'
import { pythonFloat } from './python-json'

/** A tensor as safetensors stores it. */
export interface StoredTensor {
  dtype: SafetensorsDtype
  shape: readonly number[]
  data: Uint8Array
}

/** A weight in any format this package writes as bitsandbytes does. */
export type QuantizedWeight = Quantized4bit | QuantizedInt8

/** What the packed bytes of a 4-bit weight may be called (`bnb_4bit_quant_storage`): the bytes are the same. */
export const QUANT_STORAGE = {
  uint8: ['U8', 1],
  int8: ['I8', 1],
  float16: ['F16', 2],
  bfloat16: ['BF16', 2],
  float32: ['F32', 4],
  float64: ['F64', 8],
} as const
export type QuantStorage = keyof typeof QUANT_STORAGE

const bytesOf = (data: ArrayBufferView) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
const stateKey = (quantType: QuantType4bit) => `quant_state.bitsandbytes__${quantType}`

/** The JSON that bitsandbytes keeps beside a 4-bit weight, byte for byte as Python's `json.dumps` writes it. */
export function quantStateJson({ quantType, blocksize, dtype, shape, nested }: Quantized4bit): string {
  const fields = [
    `"quant_type": "${quantType}"`,
    `"blocksize": ${blocksize}`,
    `"dtype": "${dtype}"`,
    `"shape": [${shape.join(', ')}]`,
  ]
  if (nested)
    fields.push(
      `"nested_blocksize": ${nested.blocksize}`,
      '"nested_dtype": "float32"',
      `"nested_offset": ${pythonFloat(nested.offset)}`,
    )
  return `{${fields.join(', ')}}`
}

const toOptions = z.strictObject({
  /** The weight's name, e.g. `model.layers.0.mlp.up_proj.weight`. */
  name: z.string().min(1),
  quantized: z.custom<QuantizedWeight>((q) => ['4bit', 'int8'].includes((q as QuantizedWeight)?.kind), 'not quantized'),
  /** The dtype the packed 4-bit bytes are stored under. Default `uint8`. */
  quantStorage: z.enum(Object.keys(QUANT_STORAGE) as QuantStorage[]).default('uint8'),
})

/**
 * The tensors that a saved bitsandbytes layer has, by full name.
 *
 * 4-bit: `weight` `[bytes, 1]`, `weight.absmax`, `weight.quant_map` f32 `[16]`, with double quantization
 * `weight.nested_absmax`, `weight.nested_quant_map` f32 `[256]`, and `weight.quant_state.bitsandbytes__nf4` (JSON bytes).
 * int8: `weight` i8 `[out, in]`, `SCB` f32 `[out]`, `weight_format` u8 `[]` (0 = row-major).
 *
 * @throws {TunesmithError} `invalid_options`, also when the packed bytes do not divide into the storage dtype.
 */
export function toBitsandbytes(options: z.input<typeof toOptions>): Record<string, StoredTensor> {
  const { name, quantized, quantStorage } = parseOptions(toOptions, options, 'toBitsandbytes')
  if (quantized.kind === 'int8') {
    const base = name.replace(/weight$/, '')
    return {
      [name]: { dtype: 'I8', shape: quantized.shape, data: bytesOf(quantized.weight) },
      [`${base}SCB`]: { dtype: 'F32', shape: [quantized.scb.length], data: bytesOf(quantized.scb) },
      [`${base}weight_format`]: { dtype: 'U8', shape: [], data: new Uint8Array(1) },
    }
  }
  const { packed, absmax, nested, quantType } = quantized
  const [dtype, size] = QUANT_STORAGE[quantStorage]
  if (packed.length % size)
    throw invalidOptions(`${packed.length} packed bytes do not divide into ${quantStorage}`, {
      where: name,
      remedy: 'Use quantStorage uint8',
    })
  const floats = (data: Float32Array): StoredTensor => ({ dtype: 'F32', shape: [data.length], data: bytesOf(data) })
  const scales: StoredTensor =
    absmax instanceof Float32Array ? floats(absmax) : { dtype: 'U8', shape: [absmax.length], data: absmax }
  const state = new TextEncoder().encode(quantStateJson(quantized))
  return {
    [name]: { dtype, shape: [packed.length / size, 1], data: packed },
    [`${name}.absmax`]: scales,
    [`${name}.quant_map`]: floats(quantMap4bit(quantType)),
    ...(nested && {
      [`${name}.nested_absmax`]: floats(nested.absmax),
      [`${name}.nested_quant_map`]: floats(nested.map),
    }),
    [`${name}.${stateKey(quantType)}`]: { dtype: 'U8', shape: [state.length], data: state },
  }
}

/**
 * The tensors beside `name` that make it a bitsandbytes weight, or undefined when it is an ordinary one.
 *
 * @param has whether the checkpoint has a tensor of this name.
 */
export function bitsandbytesParts(name: string, has: (name: string) => boolean): string[] | undefined {
  const base = name.replace(/weight$/, '')
  if (name.endsWith('weight') && has(`${base}SCB`))
    return [name, `${base}SCB`, `${base}weight_format`].filter((part) => has(part))
  for (const quantType of ['nf4', 'fp4'] as const)
    if (has(`${name}.${stateKey(quantType)}`))
      return [
        name,
        ...['absmax', 'quant_map', 'nested_absmax', 'nested_quant_map', stateKey(quantType)].map(
          (part) => `${name}.${part}`,
        ),
      ].filter((part) => has(part))
  return undefined
}

const quantState = z.object({
  quant_type: z.enum(['nf4', 'fp4']),
  blocksize: z.int().positive(),
  dtype: z.string().transform((dtype) => floatDtype.parse(dtype.replace('torch.', '')) as FloatDtype),
  shape: z.array(z.int().positive()),
  nested_blocksize: z.int().positive().optional(),
  nested_offset: z.number().optional(),
})

/**
 * Reads a weight back from the tensors of {@link bitsandbytesParts}; also files that bitsandbytes itself wrote.
 *
 * @param tensors by full name, as {@link toBitsandbytes} makes them.
 * @throws {TunesmithError} `not_found` for a missing part, `invalid_file` for one that does not fit the others,
 *   `unsupported` for an int8 layout other than row-major.
 */
export function fromBitsandbytes({
  name,
  tensors,
}: {
  name: string
  tensors: Readonly<Record<string, StoredTensor>>
}): QuantizedWeight {
  const fail = (what: string, remedy = 'Download or quantize the checkpoint again', cause?: unknown): never => {
    throw invalidFile(what, { where: name, remedy, cause })
  }
  const need = (part: string): StoredTensor => {
    const tensor = tensors[part]
    if (tensor) return tensor
    const nearest = nearestName(part, Object.keys(tensors))
    throw notFound(`the quantized weight has no tensor "${part}"`, {
      where: name,
      remedy: nearest ? `There is "${nearest}"; save the checkpoint again` : 'Save the checkpoint again',
    })
  }
  const floats = (part: string): Float32Array => {
    const { dtype, data } = need(part)
    if (dtype !== 'F32') fail(`"${part}" is ${dtype}, not F32`)
    return new Float32Array(data.slice().buffer)
  }
  const weight = need(name)
  if (weight.dtype === 'I8' && !Object.keys(tensors).some((part) => part.includes('quant_state'))) {
    const base = name.replace(/weight$/, '')
    const format = tensors[`${base}weight_format`]?.data[0] ?? 0
    if (format !== 0)
      throw unsupported(`int8 weight in layout ${format}`, {
        where: name,
        remedy: 'Save it with a bitsandbytes that writes row-major weights (0.45 or later)',
      })
    const scb = floats(`${base}SCB`)
    const [rows = 0, columns = 0] = weight.shape
    if (weight.shape.length !== 2 || scb.length !== rows || weight.data.length !== rows * columns)
      fail(`int8 weight [${weight.shape}] with ${scb.length} scales`)
    const codes = new Int8Array(weight.data.slice().buffer)
    return { kind: 'int8', shape: [rows, columns], weight: codes, scb }
  }

  const quantType = (['nf4', 'fp4'] as const).find((type) => `${name}.${stateKey(type)}` in tensors) ?? 'nf4'
  const json = new TextDecoder().decode(need(`${name}.${stateKey(quantType)}`).data)
  let state: z.infer<typeof quantState>
  try {
    state = quantState.parse(JSON.parse(json))
  } catch (cause) {
    return fail('the quant_state JSON cannot be read', undefined, cause)
  }
  const { blocksize, dtype, shape } = state
  const count = shape.reduce((product, size) => product * size, 1)
  const blocks = Math.ceil(count / blocksize)
  if (weight.data.length !== Math.ceil(count / 2))
    fail(`${weight.data.length} packed bytes for a weight of shape [${shape}]`)
  const ours = quantMap4bit(state.quant_type)
  if (floats(`${name}.quant_map`).some((value, i) => Math.abs(value - ours[i]!) > 1e-6))
    fail(`quant_map is not that of ${state.quant_type}`, 'Only the standard NF4 and FP4 maps are supported')
  const common = { kind: '4bit' as const, quantType: state.quant_type, blocksize, dtype, shape, packed: weight.data }
  const scales = need(`${name}.absmax`)
  if (state.nested_offset === undefined) {
    const absmax = floats(`${name}.absmax`)
    if (absmax.length !== blocks) fail(`${absmax.length} scales for ${blocks} blocks`)
    return { ...common, absmax }
  }
  const nested = {
    absmax: floats(`${name}.nested_absmax`),
    map: floats(`${name}.nested_quant_map`),
    blocksize: state.nested_blocksize ?? 256,
    offset: state.nested_offset,
  }
  if (scales.dtype !== 'U8' || scales.data.length !== blocks) fail(`${scales.data.length} scales for ${blocks} blocks`)
  if (nested.map.length !== 256 || nested.absmax.length !== Math.ceil(blocks / nested.blocksize))
    fail('the nested scales do not fit the scales')
  return { ...common, absmax: scales.data, nested }
}
