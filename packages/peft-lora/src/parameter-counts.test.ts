import { selectBackend } from '@tunesmith/backend'
import { beforeAll, describe, expect, it } from 'vitest'
import { configFromJson } from './config-json'
import fixture from './fixtures/parameter-counts.json' with { type: 'json' }
import { getPeftModel, PeftModel } from './index'
import { shapeModel } from './testing/shape-model'

beforeAll(async () => {
  await selectBackend()
})

describe('as many parameters as in PEFT', () => {
  const shapes: Record<string, Record<string, unknown>> = fixture.shapes
  for (const { shape, config, trainable, all } of fixture.cases)
    it(`${shape}, ${JSON.stringify(config)}`, () => {
      const peft = new PeftModel(shapeModel(shapes[shape]!))
      peft.addConfigured('default', configFromJson(config, 'the table').config, { seed: 0, loading: false })
      expect(peft.parameterCounts()).toEqual({ trainable, all })
      peft.unload()
    })
})

it("prints PEFT's line", () => {
  const peft = getPeftModel(shapeModel(fixture.shapes['TinyLlama-1.1B']), { r: 16 })
  expect(peft.trainableParametersLine()).toBe(
    'trainable params: 2,252,800 || all params: 1,102,301,184 || trainable%: 0.2044',
  )
  peft.unload()
})
