import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sharedPath } from '@tunesmith/tooling/shared'
import { expect, test } from 'vitest'
import {
  addQuantizationConfig,
  isQuantizable,
  quantizationConfig,
  quantizationConfigFromJson,
  quantizationConfigToJson,
} from './config'
import { pythonFloat } from './python-json'

const folder = sharedPath('goldens')

test.skipIf(!folder).each(['nf4', 'nf4-bf16', 'fp4', 'int8'])('the quantization_config of transformers: %s', (kind) => {
  const json = JSON.parse(readFileSync(join(folder!, `tiny-llama-${kind}`, 'config.json'), 'utf8'))
  const config = quantizationConfigFromJson(json)!
  expect(quantizationConfigToJson(config)).toEqual(json.quantization_config)
  expect(Object.keys(quantizationConfigToJson(config))).toEqual(Object.keys(json.quantization_config))
})

test('defaults are those of BitsAndBytesConfig', () => {
  expect(quantizationConfig()).toEqual({
    loadIn4bit: false,
    loadIn8bit: false,
    bnb4bitQuantType: 'fp4',
    bnb4bitUseDoubleQuant: false,
    bnb4bitComputeDtype: 'float32',
    bnb4bitQuantStorage: 'uint8',
    llmInt8Threshold: 6,
    llmInt8SkipModules: null,
    llmInt8EnableFp32CpuOffload: false,
    llmInt8HasFp16Weight: false,
  })
})

test('there and back', () => {
  const config = quantizationConfig({
    loadIn4bit: true,
    bnb4bitQuantType: 'nf4',
    bnb4bitComputeDtype: 'bfloat16',
    llmInt8SkipModules: ['lm_head', 'gate'],
    llmInt8Threshold: 5.5,
  })
  expect(quantizationConfigFromJson({ quantization_config: quantizationConfigToJson(config) })).toEqual(config)
})

test('older spellings, unknown keys, other methods', () => {
  const read = (json: object | null) => quantizationConfigFromJson({ quantization_config: json })
  const old = { load_in_4bit: true, bnb_4bit_compute_dtype: 'torch.bfloat16', some_later_key: 1 }
  expect(read(old)).toMatchObject({ loadIn4bit: true, bnb4bitComputeDtype: 'bfloat16' })
  expect(read(null)).toBeUndefined()
  expect(quantizationConfigFromJson({})).toBeUndefined()
  expect(() => read({ quant_method: 'gptq', bits: 4 })).toThrow(/quantized with "gptq"/)
  expect(() => quantizationConfig({ loadIn4bit: true, loadIn8bit: true })).toThrow(/choose one/)
  expect(() => quantizationConfig({ loadIn4Bit: true } as object)).toThrow(/did you mean "loadIn4bit"/)
})

test('config.json keeps every character, and the threshold is a float', () => {
  const text = '{\n  "rope_theta": 10000.0,\n  "rms_norm_eps": 1e-05\n}\n'
  const written = addQuantizationConfig(text, { loadIn8bit: true })
  expect(written).toContain('"rope_theta": 10000.0,\n  "rms_norm_eps": 1e-05,\n  "quantization_config": {')
  expect(written).toContain('"llm_int8_threshold": 6.0')
  expect(quantizationConfigFromJson(JSON.parse(written))).toEqual(quantizationConfig({ loadIn8bit: true }))
  const again = addQuantizationConfig(written, { loadIn4bit: true })
  expect(again).toContain('"rope_theta": 10000.0')
  expect(quantizationConfigFromJson(JSON.parse(again))).toEqual(quantizationConfig({ loadIn4bit: true }))
  expect(JSON.parse(addQuantizationConfig('{}', {}))).toHaveProperty('quantization_config')
  expect(() => addQuantizationConfig('[1]', {})).toThrow(/Expected a JSON object/)
})

test('which tensors are quantized', () => {
  const shape = [8, 8]
  const chosen = (name: string, llmInt8SkipModules: string[] | null = null) =>
    isQuantizable({ name, shape }, { llmInt8SkipModules })
  expect(chosen('model.layers.0.self_attn.q_proj.weight')).toBe(true)
  expect(chosen('model.embed_tokens.weight')).toBe(false)
  expect(chosen('lm_head.weight')).toBe(false)
  expect(chosen('model.layers.0.self_attn.q_proj.bias')).toBe(false)
  expect(isQuantizable({ name: 'model.norm.weight', shape: [8] }, { llmInt8SkipModules: null })).toBe(false)
  expect(chosen('lm_head.weight', ['q_proj'])).toBe(true)
  expect(chosen('model.layers.3.self_attn.q_proj.weight', ['q_proj'])).toBe(false)
  expect(chosen('model.layers.3.mlp.up_proj.weight', ['model.layers.3'])).toBe(false)
  expect(chosen('model.layers.3.mlp.up_proj.weight', ['model\\.layers\\.[34]\\.mlp'])).toBe(false)
  expect(chosen('model.layers.3.mlp.up_proj.weight', ['(', 'model.layers.4'])).toBe(true)
})

test("numbers as Python's repr prints them", () => {
  const cases: [number, string][] = [
    [6, '6.0'],
    [0.1, '0.1'],
    [-2.5e-5, '-2.5e-05'],
    [1e-4, '0.0001'],
    [0.00012345678901234567, '0.00012345678901234567'],
    [1e16, '1e+16'],
    [123456789012345680, '1.2345678901234568e+17'],
    [1234567890123456, '1234567890123456.0'],
    [5e-324, '5e-324'],
    [0, '0.0'],
    [-0, '-0.0'],
    [Number.NaN, 'NaN'],
    [Number.NEGATIVE_INFINITY, '-Infinity'],
    [Math.fround(1.1754943508222875e-38), '1.1754943508222875e-38'],
  ]
  for (const [value, text] of cases) expect(pythonFloat(value)).toBe(text)
})
