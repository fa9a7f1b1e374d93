import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sharedPath } from '@tunesmith/tooling/shared'
import { describe, expect, test } from 'vitest'
import { fromBitsandbytes, type QuantStorage, quantStateJson, toBitsandbytes } from './bitsandbytes'
import { dequantizeBlockwise, quantizeBlockwise } from './blockwise8bit'
import { DYNAMIC_MAP_SIGNED, DYNAMIC_MAP_UNSIGNED, FP4_MAP, NF4_MAP } from './codebooks'
import { differingBytes, readGolden } from './fixtures/goldens'
import type { FloatDtype } from './floats'
import { toFloat32 } from './floats'
import { absmaxOf, dequantize4bit, quantize4bit } from './four-bit/quantize'
import { dequantizeInt8, int8Linear, quantizeInt8 } from './int8'
import { FLOAT_DTYPES } from './weights'

interface Case4bit {
  prefix: string
  matrix: string
  quant_type: 'nf4' | 'fp4'
  blocksize: number
  double_quant: boolean
  quant_storage: QuantStorage
  input_dtype: FloatDtype
  shape: number[]
  max_abs_error: number
}

const folder = sharedPath('goldens')

describe.skipIf(!folder)('bit for bit as bitsandbytes', () => {
  // The body runs to list the tests also where they are skipped.
  if (!folder) return test('the goldens are not there', () => {})
  const file = readGolden(join(folder, 'nf4.safetensors'))
  const cases = JSON.parse(readFileSync(join(folder, 'nf4.json'), 'utf8')) as {
    cases_4bit: Case4bit[]
    cases_int8: { prefix: string; matrix: string; shape: [number, number] }[]
    int8_linear: { threshold: number }[]
    cases_dynamic8: { prefix: string; blocksize: number }[]
  }
  const input = (matrix: string, dtype: FloatDtype) =>
    dtype === 'float32' ? file.f32(`input.${matrix}`) : file.f16(`input.${matrix}`)

  test('number formats', () => {
    expect(differingBytes(NF4_MAP, file.f32('nf4_map'))).toBe(0)
    expect(differingBytes(FP4_MAP, file.f32('fp4_map'))).toBe(0)
    expect(differingBytes(DYNAMIC_MAP_SIGNED, file.f32('dynamic_map_signed'))).toBe(0)
    expect(differingBytes(DYNAMIC_MAP_UNSIGNED, file.f32('dynamic_map_unsigned'))).toBe(0)
  })

  test.each(cases.cases_4bit)('$prefix', ({ prefix, matrix, shape, quant_type, blocksize, ...c }) => {
    const data = input(matrix, c.input_dtype)
    const options = { data, shape, dtype: c.input_dtype, quantType: quant_type, blocksize }
    const quantized = quantize4bit({ ...options, doubleQuant: c.double_quant })
    const stored = toBitsandbytes({ name: 'weight', quantized, quantStorage: c.quant_storage })
    const names = [...file.tensors.keys()].filter((name) => name.startsWith(`${prefix}.weight`))
    const golden = names.filter((name) => !name.endsWith('weight_cuda')).map((name) => name.slice(prefix.length + 1))
    expect(Object.keys(stored).sort()).toEqual(golden.sort())
    for (const [name, tensor] of Object.entries(stored)) {
      const expected = file.get(`${prefix}.${name}`)
      expect([name, tensor.dtype, [...tensor.shape]]).toEqual([name, expected.dtype, expected.shape])
      expect([name, differingBytes(tensor.data, expected.bytes)]).toEqual([name, 0])
    }
    const dequantized = dequantize4bit({ quantized })
    expect(differingBytes(dequantized, file.get(`${prefix}.dequant`).bytes)).toBe(0)

    // The way back: from the golden's own tensors, not ours.
    const tensors = Object.fromEntries(
      golden.map((name) => {
        const { dtype, shape, bytes } = file.get(`${prefix}.${name}`)
        return [name, { dtype, shape, data: bytes }]
      }),
    )
    const loaded = fromBitsandbytes({ name: 'weight', tensors })
    if (loaded.kind !== '4bit') throw new Error('not 4 bits')
    expect(quantStateJson(loaded)).toBe(quantStateJson(quantized))
    expect(absmaxOf(loaded)).toEqual(absmaxOf(quantized))
    expect(differingBytes(dequantize4bit({ quantized: loaded }), dequantized)).toBe(0)

    const [original, restored] = [toFloat32(data, c.input_dtype), toFloat32(dequantized, c.input_dtype)]
    const error = original.reduce((worst, x, i) => Math.max(worst, Math.abs(x - restored[i]!)), 0)
    expect(error).toBeCloseTo(c.max_abs_error, 6)
  })

  test.each(cases.cases_int8)('$prefix', ({ prefix, matrix, shape }) => {
    const dtype = FLOAT_DTYPES[file.get(`input.${matrix}`).dtype]!
    const quantized = quantizeInt8({ data: input(matrix, dtype), dtype, shape })
    const stored = toBitsandbytes({ name: 'weight', quantized })
    for (const [name, tensor] of Object.entries(stored)) {
      const expected = file.get(`${prefix}.${name}`)
      expect([name, tensor.dtype, [...tensor.shape]]).toEqual([name, expected.dtype, expected.shape])
      expect([name, differingBytes(tensor.data, expected.bytes)]).toEqual([name, 0])
    }
    const loaded = fromBitsandbytes({ name: 'weight', tensors: stored })
    if (loaded.kind !== 'int8') throw new Error('not int8')
    expect(differingBytes(dequantizeInt8({ quantized: loaded }), file.f32(`${prefix}.dequant`))).toBe(0)
  })

  test.each(cases.int8_linear)('int8 linear, threshold $threshold', ({ threshold }) => {
    const quantized = quantizeInt8({ data: file.f32('int8_linear.input_weight'), shape: [48, 64] })
    expect(differingBytes(quantized.weight, file.i8('int8_linear.weight'))).toBe(0)
    expect(differingBytes(quantized.scb, file.f32('int8_linear.SCB'))).toBe(0)
    const half = (name: string) => toFloat32(file.f16(`int8_linear.${name}`), 'float16')
    const y = int8Linear({ x: half('x'), weight: quantized, bias: half('bias'), threshold })
    const expected = half(`threshold_${threshold}.y`)
    const error = y.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i]!)), 0)
    expect(y).toHaveLength(expected.length)
    expect(error).toBeLessThan(4e-3)
  })

  test.each(cases.cases_dynamic8)('$prefix', ({ prefix, blocksize }) => {
    const values = file.f32(`input.${prefix.split('.')[0]}`)
    const { codes, absmax } = quantizeBlockwise({ values, blocksize })
    expect(differingBytes(codes, file.u8(`${prefix}.weight`))).toBe(0)
    expect(differingBytes(absmax, file.f32(`${prefix}.absmax`))).toBe(0)
    const dequantized = dequantizeBlockwise({ codes, absmax, blocksize })
    expect(differingBytes(dequantized, file.f32(`${prefix}.dequant`))).toBe(0)
  })
})

test.skipIf(!folder)('the maps of 8-bit optimizers', () => {
  const file = readGolden(join(folder!, 'adamw8bit.safetensors'))
  expect(differingBytes(DYNAMIC_MAP_SIGNED, file.f32('qmap1'))).toBe(0)
  expect(differingBytes(DYNAMIC_MAP_UNSIGNED, file.f32('qmap2'))).toBe(0)
})
