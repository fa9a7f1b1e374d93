import { expect, it } from 'vitest'
import { isTunesmithError, TunesmithError } from './index'

it('reads as what, where and what to do', () => {
  const cause = new Error('short read')
  const error = new TunesmithError('The file is truncated', {
    code: 'invalid_file',
    where: 'a.safetensors',
    remedy: 'Download it again',
    cause,
  })
  expect(error.message).toBe('The file is truncated (a.safetensors). Download it again')
  expect([error.name, error.code, error.where, error.remedy, error.cause]).toEqual([
    'TunesmithError',
    'invalid_file',
    'a.safetensors',
    'Download it again',
    cause,
  ])
  expect(new TunesmithError('Nothing', { code: 'internal' }).message).toBe('Nothing')
})

it('is recognised across copies of the package, and nothing else is', () => {
  const foreign = Object.assign(new Error('from another copy'), { [Symbol.for('tunesmith.error')]: true })
  expect(isTunesmithError(foreign)).toBe(true)
  expect(isTunesmithError(new TunesmithError('x', { code: 'io' }))).toBe(true)
  for (const other of [new Error('x'), null, undefined, 'x', {}]) expect(isTunesmithError(other)).toBe(false)
})
