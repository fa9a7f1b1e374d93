import { expect, it } from 'vitest'
import { z } from 'zod'
import { nearestName, parseOptions } from './index'

const schema = z.strictObject({
  learningRate: z.number().default(0.1),
  lora: z.strictObject({ loraAlpha: z.number(), r: z.number() }).optional(),
  layers: z.array(z.strictObject({ hiddenSize: z.number() })).default([]),
})

it('fills in defaults', () => {
  expect(parseOptions(schema, {}, 'here')).toEqual({ learningRate: 0.1, layers: [] })
})

it('names an unknown key, however deep, and the one that was meant', () => {
  const check = (input: unknown, message: string) =>
    expect(() => parseOptions(schema, input, 'config.yaml')).toThrow(message)
  check({ learningRat: 1 }, 'unknown key "learningRat"; did you mean "learningRate"? (config.yaml)')
  check({ learning_rate: 1 }, 'did you mean "learningRate"?')
  check({ lora: { lora_alpha: 1, loraAlpha: 1, r: 2 } }, 'unknown key "lora.lora_alpha"; did you mean "loraAlpha"?')
  check({ layers: [{ hiddenSize: 1, hidenSize: 2 }] }, 'unknown key "layers.0.hidenSize"; did you mean "hiddenSize"?')
  check({ zebra: 1 }, 'unknown key "zebra"; known keys: learningRate, lora, layers')
})

it('says what is wrong with a value, and everything at once', () => {
  expect(() => parseOptions(schema, { learningRate: '1', lora: { r: 4 } }, 'f')).toThrow(
    /"learningRate": .*number.*; "lora.loraAlpha": /,
  )
})

it('finds the nearest name, or none', () => {
  expect(nearestName('gradient_acumulation_steps', ['gradientAccumulationSteps', 'maxSteps'])).toBe(
    'gradientAccumulationSteps',
  )
  expect(nearestName('xyz', ['gradientAccumulationSteps'])).toBeUndefined()
})
