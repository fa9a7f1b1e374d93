import { expect, it } from 'vitest'
import { retryAfter } from './request'

it('reads how long a server wants to be left alone', () => {
  const wait = (headers: Record<string, string>) => retryAfter(new Response(null, { headers }))
  expect(wait({ 'retry-after': '3' })).toBe(3000)
  expect(wait({ ratelimit: '"api";r=0;t=55' })).toBe(55_000)
  expect(wait({ ratelimit: '"api";r=10;t=55' })).toBeUndefined()
  expect(wait({ 'retry-after': 'soon' })).toBeUndefined()
  const date = wait({ 'retry-after': new Date(Date.now() + 10_000).toUTCString() })!
  expect(date).toBeGreaterThan(8000)
  expect(date).toBeLessThan(10_500)
})
