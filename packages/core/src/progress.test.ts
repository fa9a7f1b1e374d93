import { expect, it, vi } from 'vitest'
import { createProgress, formatDuration } from './index'

function fakeStream(isTTY: boolean) {
  const written: string[] = []
  const stream = { isTTY, columns: 100, write: (text: string) => written.push(text) > 0 }
  return { written, stream: stream as unknown as NodeJS.WriteStream }
}

it('draws a bar in a terminal', () => {
  const { written, stream } = fakeStream(true)
  const progress = createProgress({ label: 'train', total: 4, stream })
  progress.update(2, 'loss 1.5')
  progress.finish()
  expect(written[0]).toMatch(/^\rtrain █{12}░{12} 2\/4 .*loss 1\.5/)
  expect(written.at(-1)).toBe('\n')
})

it('prints plain lines elsewhere, no more often than asked, and the last one always', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const { written, stream } = fakeStream(false)
  const progress = createProgress({ label: 'load', total: 100, stream, plainIntervalMs: 1000 })
  for (let i = 1; i <= 100; i++) {
    vi.advanceTimersByTime(50)
    progress.update(i)
  }
  progress.finish('done')
  vi.useRealTimers()
  expect(written).toHaveLength(6)
  expect(written[0]).toBe('load: 20/100 1s<4s\n')
  expect(written[5]).toBe('load: 100/100 5s<0s done\n')
})

it('does not count what was done before as speed', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const { written, stream } = fakeStream(false)
  const progress = createProgress({ label: 'train', total: 100, initial: 90, stream, plainIntervalMs: 1 })
  vi.advanceTimersByTime(5000)
  progress.update(95)
  vi.useRealTimers()
  expect(written).toEqual(['train: 95/100 5s<5s\n'])
})

it('writes durations short', () => {
  expect([0, 42, 185, 7620, Number.POSITIVE_INFINITY].map(formatDuration)).toEqual(['0s', '42s', '3m05s', '2h07m', '?'])
})
