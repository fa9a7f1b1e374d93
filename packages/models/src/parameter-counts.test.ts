import { fileURLToPath } from 'node:url'
import { readJsonFile } from '@tunesmith/hub'
import { expect, it } from 'vitest'
import { tensorShapes } from './checkpoint-tensors'
import { parseModelConfig } from './config'
import { FAMILIES } from './testing/families'

interface Published {
  name: string
  config: Record<string, unknown>
  parameters: number
}

it('one published model of each family has as many parameters as it is published with, by its shapes alone', async () => {
  const path = fileURLToPath(new URL('fixtures/published.json', import.meta.url))
  const all = await readJsonFile<Published[]>(path)
  for (const { name, config, parameters } of all) {
    const shapes = tensorShapes(parseModelConfig(config))
    const count = [...shapes.values()].reduce((sum, shape) => sum + shape.reduce((size, n) => size * n, 1), 0)
    expect(count, name).toBe(parameters)
  }
  expect(all.map(({ config }) => config.model_type)).toEqual(FAMILIES.map(({ modelType }) => modelType))
})
