import { afterAll, expect, test } from 'vitest'
import { quantizationError } from './error'
import { numbers, sha } from './fixtures/numbers'
import { fromFloat32 } from './floats'
import { absmaxOf, dequantize4bit, quantize4bit } from './four-bit/quantize'
import { quantizeInt8 } from './int8'
import { createQuantizationPool } from './pool'

const pool = createQuantizationPool({ threads: 3 })
afterAll(() => pool.close())

test.each(['float32', 'bfloat16', 'float16'] as const)('threads give the bytes of one thread: %s', async (dtype) => {
  const data = fromFloat32(numbers(700_001, 1, 0.05), dtype)
  for (const blocksize of [64, 4096]) {
    const options = { data, dtype, blocksize, doubleQuant: true }
    const [here, there] = [quantize4bit(options), await pool.quantize4bit(options)]
    expect(sha(there.packed)).toBe(sha(here.packed))
    expect(absmaxOf(there)).toEqual(absmaxOf(here))
    expect(there.packed.buffer).toBeInstanceOf(ArrayBuffer)
    expect(sha(await pool.dequantize4bit({ quantized: there }))).toBe(sha(dequantize4bit({ quantized: here })))
    expect(await pool.compare({ data, dtype, quantized: there })).toEqual(
      quantizationError({ data, dtype, quantized: here }),
    )
  }
})

test.each(['float32', 'bfloat16', 'float16'] as const)('int8 rows: %s', async (dtype) => {
  const shape = [701, 1001]
  const data = fromFloat32(numbers(701 * 1001, 7, 0.05), dtype)
  const [here, there] = [quantizeInt8({ data, dtype, shape }), await pool.quantizeInt8({ data, dtype, shape })]
  expect(sha(there.weight)).toBe(sha(here.weight))
  expect(there.scb).toEqual(here.scb)
  expect(await pool.compare({ data, dtype, quantized: there })).toEqual(
    quantizationError({ data, dtype, quantized: here }),
  )
})

test('many weights at once, shared memory as it is, small ones without a thread', async () => {
  const shared = new Float32Array(new SharedArrayBuffer(4 * 600_000))
  shared.set(numbers(600_000, 2))
  const all = await Promise.all([
    pool.quantize4bit({ data: shared }),
    pool.quantize4bit({ data: numbers(100, 3) }),
    pool.quantize4bit({ data: numbers(600_000, 4), quantType: 'fp4' }),
  ])
  expect(sha(all[0].packed)).toBe(sha(quantize4bit({ data: shared.slice() }).packed))
  expect(sha(all[1].packed)).toBe(sha(quantize4bit({ data: numbers(100, 3) }).packed))
  expect(sha(all[2].packed)).toBe(sha(quantize4bit({ data: numbers(600_000, 4), quantType: 'fp4' }).packed))
})

test('dequantizes into memory that is given', async () => {
  const data = numbers(600_001, 6)
  const quantized = quantize4bit({ data })
  const expected = sha(dequantize4bit({ quantized }))
  const shared = new Float32Array(new SharedArrayBuffer(4 * data.length))
  const plain = new Float32Array(data.length)
  expect(await pool.dequantize4bit({ quantized, out: shared })).toBe(shared)
  expect(await pool.dequantize4bit({ quantized, out: plain })).toBe(plain)
  expect([sha(shared), sha(plain)]).toEqual([expected, expected])
  expect(dequantize4bit({ quantized, out: plain.fill(0) })).toBe(plain)
  expect(sha(plain)).toBe(expected)
  expect(() => dequantize4bit({ quantized, out: new Float32Array(3) })).toThrow(/out/)
})

test('a closed pool starts again when needed', async () => {
  const other = createQuantizationPool({ threads: 2 })
  const data = numbers(600_000, 5)
  const before = await other.quantize4bit({ data })
  await other.close()
  expect((await other.quantize4bit({ data })).packed).toEqual(before.packed)
  await other.close()
})

test('wrong options are refused before any thread sees them, and the pool goes on', async () => {
  const data = numbers(600_000, 8)
  const quantized = quantize4bit({ data })
  await expect(pool.compare({ data: data.subarray(1), quantized })).rejects.toThrow(/599999 elements/)
  expect(await pool.compare({ data, quantized })).toEqual(quantizationError({ data, quantized }))
  await expect(pool.quantize4bit({ data: numbers(64, 1), blocksize: 7 })).rejects.toThrow(/must be one of/)
  expect(() => createQuantizationPool({ threads: 0 })).toThrow(/threads/)
})
