import { expect, it } from 'vitest'
import { Dataset } from './dataset/dataset'
import { fingerprintOf } from './fingerprint'
import { contentKey } from './values'

const deep = Array.from({ length: 100_000 }).reduce((inner: unknown) => [inner], 1)
const circle: Record<string, unknown> = {}
circle.itself = circle

it.each([deep, circle])('a value nested without end is refused with its row', (value) => {
  expect(() => Dataset.fromRows([{ a: 1 }, { a: value }])).toThrow(
    expect.objectContaining({ code: 'invalid_data', where: 'row 1' }),
  )
  for (const follow of [fingerprintOf, contentKey])
    expect(() => follow(value)).toThrow(expect.objectContaining({ code: 'invalid_data' }))
})
