import { expect, test } from 'vitest'
import { numbers } from './fixtures/numbers'
import reference from './fixtures/reference.json' with { type: 'json' }
import { torchMean } from './torch-mean'

test.each(reference.mean as [number, number][])('the mean of %i numbers is that of torch', (count, mean) => {
  expect(torchMean(numbers(count, count + 1).map(Math.abs))).toBe(mean)
})
