import { TunesmithError } from '@tunesmith/core'
import { expect, it } from 'vitest'
import { type Addon, bindKernel } from './addon'

it.each([
  ['knows no such kernel', { bind: () => undefined }],
  ['binds nothing at all', {}],
])('an addon of another version, which %s, is refused by name', (_, addon) => {
  const bind = () => bindKernel(addon as unknown as Addon, 'RMSNorm', ['x', 'y'])
  expect(bind).toThrow(TunesmithError)
  expect(bind).toThrow(/another version.*RMSNorm/)
})
