import { readFileSync } from 'node:fs'
import { selectBackend } from '@tunesmith/backend'
import { Random } from '@tunesmith/core'
import { createModel, makeTrainable, packSequences } from '@tunesmith/models'
import { beforeAll, expect, test } from 'vitest'
import { initializeInduction } from './initialize'

beforeAll(async () => {
  await selectBackend()
})

/** Mean loss on a list of unrelated tokens the first time and the second time. */
function lossTwice(laidOut: boolean): [first: number, second: number] {
  const config = JSON.parse(readFileSync(new URL('../model/config.json', import.meta.url), 'utf8'))
  const model = createModel(config, { seed: 1 })
  const parameters = makeTrainable(model)
  if (laidOut) initializeInduction(parameters, model.config, 1)
  const random = new Random(1)
  const list = Array.from({ length: 40 }, () => 300 + random.int(1700))
  const ids = [...list, ...list]
  const { nll } = model.loss(packSequences([ids]), [...ids.slice(1), -100])
  const values = Array.from(nll!.dataSync())
  const mean = (from: number, to: number) => values.slice(from, to).reduce((a, b) => a + b, 0) / (to - from)
  const result: [number, number] = [mean(2, 39), mean(42, 79)]
  model.dispose()
  return result
}

test('a model laid out for induction foretells a repeated list better the second time, before any training', () => {
  const [first, second] = lossTwice(true)
  expect(first - second).toBeGreaterThan(1)
})

test('a plain random model does not', () => {
  const [first, second] = lossTwice(false)
  expect(Math.abs(first - second)).toBeLessThan(0.2)
})
