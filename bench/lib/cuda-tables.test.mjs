import { expect, it } from 'vitest'
import { consumersTable, operationsTable, roofline } from './cuda-tables.mjs'

const speeds = { flops: 100e12, bytes: 1e12 }
const operations = [
  { name: 'Product', calls: 2, launches: 3, bytes: 1e9, flops: 1e12, seconds: 0.02, kernels: [] },
  { name: 'Sum', calls: 1, launches: 1, bytes: 4e9, flops: 0, seconds: 0.005, kernels: [] },
  { name: 'Fill', calls: 1, launches: 1, bytes: 1e9, flops: 0, seconds: 0.001, kernels: [] },
]
const lines = (text) => text.split('\n').map((line) => line.trim().split(/ {2,}/))

it('bounds each operation by what it needs most of: products or memory', () => {
  expect(roofline({ operations }, speeds)).toBeCloseTo(0.01 + 0.004 + 0.001, 9)
})

it('with a clock: the largest by time, what they reach, and the gaps between them', () => {
  const text = operationsTable({ operations, seconds: 0.026 }, { wall: 0.04, speeds, rows: 1 })
  expect(lines(text)).toEqual([
    ['operation', 'ms', 'share', 'calls', 'launches', 'GB', 'TFLOP', 'reached'],
    ['Product', '20.00', '50.0%', '2', '3', '1.00', '1.00', '50 GB/s', '50 TFLOP/s'],
    ['and 2 more', '6.00', '15.0%', '2', '2', '5.00', '0.00', '833 GB/s', '0 TFLOP/s'],
    ['and the rest: host gaps', '14.00', '35.0%'],
  ])
})

it('without a clock: by the bound, and says so', () => {
  const still = operations.map((row) => ({ ...row, seconds: 0 })).reverse()
  expect(lines(operationsTable({ operations: still, seconds: 0 }, { wall: 1, speeds }))).toEqual([
    ['operation', 'ms at least', 'share', 'calls', 'launches', 'GB', 'TFLOP'],
    ['Product', '10.00', '66.7%', '2', '3', '1.00', '1.00'],
    ['Sum', '4.00', '26.7%', '1', '1', '4.00', '0.00'],
    ['Fill', '1.00', '6.7%', '1', '1', '1.00', '0.00'],
  ])
})

it('shows who holds the memory, the small ones in one line', () => {
  const consumers = [3, 2, 1].map((n) => ({ name: `c${n}`, bytes: n * 2 ** 30, count: n }))
  expect(lines(consumersTable(consumers, 1))).toEqual([
    ['at the peak', 'GiB', 'tensors'],
    ['c3', '3.000', '3'],
    ['the rest', '3.000'],
  ])
})
