import { expect, it } from 'vitest'
import { ownPeakMemory, peakMemoryOf, runChild, startWorker } from './children.mjs'
import { interleaved, median, row, speedRow } from './measure.mjs'
import { table } from './table.mjs'

it('takes the middle, or the mean of the two in the middle', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 3, 2])).toBe(2.5)
})

it('times contenders in turns, each first as often as the other, and leaves the warm-up out', async () => {
  const calls = []
  const seconds = { ours: [9, 1, 2, 3, 4], peer: [9, 5, 6, 7, 8] }
  const contender = (name) => () => {
    calls.push(name)
    return seconds[name].shift()
  }
  const times = await interleaved({ ours: contender('ours'), peer: contender('peer') }, { rounds: 4, warmup: 1 })
  expect(times).toEqual({ ours: 2.5, peer: 6.5 })
  expect(calls.join(' ')).toBe('ours peer peer ours ours peer peer ours ours peer')
})

it('makes a ratio above 1 mean that ours is better', () => {
  expect(row({ case: 'a', ours: 30, peer: 10, unit: 'MB/s' }).ratio).toBe(3)
  expect(row({ case: 'a', ours: 2, peer: 10, unit: 's', lowerIsBetter: true }).ratio).toBe(5)
  expect(speedRow({ case: 'a', seconds: { ours: 2, peer: 4 }, amount: 100, unit: 'rows/s' })).toEqual({
    case: 'a',
    ours: 50,
    peer: 25,
    ratio: 2,
    unit: 'rows/s',
  })
})

it('takes the best of several peers, whatever the unit, with its memory', () => {
  const peers = { float32: { value: 3, memory: 70 }, bf16: { value: 5, memory: 40 } }
  expect(row({ case: 'a', ours: 10, peers, unit: 'GFLOP/s', oursMemory: 20, ofPeak: 0.8 })).toEqual({
    case: 'a',
    ours: 10,
    peer: 5,
    ratio: 2,
    unit: 'GFLOP/s',
    peerName: 'bf16',
    peers,
    ofPeak: 0.8,
    oursMemory: 20,
    peerMemory: 40,
  })
  expect(row({ case: 'a', ours: 6, peers, unit: 's', lowerIsBetter: true })).toMatchObject({ peer: 3, ratio: 0.5 })
  expect(row({ case: 'a', ours: 6, peers: {}, unit: 's' })).toMatchObject({ peer: undefined, ratio: undefined })
  const times = { peers: { float32: 4, bf16: 2 }, peersMemory: { bf16: 7 } }
  expect(speedRow({ case: 'a', seconds: { ours: 1 }, ...times, amount: 100, unit: 'rows/s' })).toEqual({
    case: 'a',
    ours: 100,
    peer: 50,
    ratio: 2,
    unit: 'rows/s',
    peerName: 'bf16',
    peers: { float32: { value: 25 }, bf16: { value: 50, memory: 7 } },
    peerMemory: 7,
  })
})

it('names the best peer, the others and the part of the peak in the table', () => {
  const peers = { 'torch float32': { value: 31.2 }, 'torch bf16': { value: 57 } }
  const rows = [
    row({ case: 'product', ours: 100, peers, unit: 'GFLOP/s', ofPeak: 0.804 }),
    row({ case: 'other', ours: 1, peer: 2, unit: 'GFLOP/s' }),
  ]
  expect(table(rows).split('\n')).toEqual([
    'case     ours  peer  ratio  unit     of peak  best peer   other peers',
    '-------  ----  ----  -----  -------  -------  ----------  ------------------',
    'product   100  57.0  1.75x  GFLOP/s      80%  torch bf16  torch float32 31.2',
    'other    1.00  2.00  0.50x  GFLOP/s        -  -           -',
  ])
})

it('prints a table with aligned columns', () => {
  const rows = [
    { case: 'read', ours: 1234.5, peer: 0.12345, ratio: 2, unit: 'MB/s', oursMemory: 2 ** 20, peerMemory: undefined },
    { case: 'a longer name', ours: 1, peer: undefined, ratio: undefined, unit: 's' },
  ]
  expect(table(rows).split('\n')).toEqual([
    "case            ours   peer  ratio  unit  our memory  peer's memory",
    '-------------  -----  -----  -----  ----  ----------  -------------',
    'read           1,235  0.123  2.00x  MB/s       1 MiB              -',
    'a longer name   1.00      -      -  s              -              -',
  ])
})

it('measures the peak memory of a child, also after it let go of it', async (context) => {
  if (process.platform !== 'linux') context.skip('the kernel high-water mark is read from /proc, which only Linux has')
  const script = 'let a = Buffer.alloc(200e6, 1); a = a.length; setTimeout(() => {}, 100)'
  const { peakMemory } = await runChild(process.execPath, ['-e', script])
  expect(peakMemory).toBeGreaterThan(200e6)
  expect(peakMemoryOf(process.pid)).toBeGreaterThan(0.9 * ownPeakMemory() - 2 ** 24)
})

it("starts a worker's peak of memory anew", async (context) => {
  if (process.platform !== 'linux')
    context.skip('the kernel high-water mark is reset through /proc, which only Linux has')
  const script = `
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
      let memory = Buffer.alloc(JSON.parse(line).bytes, 1)
      memory = undefined
      gc()
      console.log('{}')
    })`
  const worker = startWorker(process.execPath, ['--expose-gc', '-e', script])
  await worker.call({ bytes: 300e6 })
  expect(worker.peakMemory()).toBeGreaterThan(300e6)
  await worker.call({ bytes: 1 })
  worker.resetPeakMemory()
  await worker.call({ bytes: 1 })
  expect(worker.peakMemory()).toBeLessThan(200e6)
  worker.close()
})

it('takes the figure that a child prints itself, and reports a failing child with its stderr', async () => {
  const { peakMemory, stdout } = await runChild(process.execPath, ['-e', "console.log('peakMemory=123')"])
  expect(peakMemory).toBe(123)
  expect(stdout).toBe('peakMemory=123\n')
  await expect(runChild(process.execPath, ['-e', "console.error('no luck'); process.exit(3)"])).rejects.toThrow(
    /ended with 3\nno luck/,
  )
})

it('asks a worker one question after the other', async () => {
  const script = `
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const { call, x } = JSON.parse(line)
      console.log('chatter')
      console.log(JSON.stringify(call === 'square' ? { value: x * x } : { error: 'unknown call' }))
    })`
  const worker = startWorker(process.execPath, ['-e', script])
  expect(await worker.call({ call: 'square', x: 7 })).toEqual({ value: 49 })
  await expect(worker.call({ call: 'cube' })).rejects.toThrow('unknown call')
  worker.close()
  await new Promise((resolve) => setTimeout(resolve, 200))
  await expect(worker.call({ call: 'square' })).rejects.toThrow(/ended/)
})
