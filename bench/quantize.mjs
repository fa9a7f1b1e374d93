/**
 * NF4 quantize and dequantize in GB/s of float32, ours against vectorised torch, one thread and two. Quantizing runs in
 * WebAssembly; dequantizing in the native backend, and in WebAssembly as well, which is what there is without it.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { dequantize, disposeWeight, packedWeight } from '@tunesmith/backend'
import { registerNativeBackend, setNumThreads } from '@tunesmith/backend-native'
import { createQuantizationPool, NF4_MAP } from '@tunesmith/quantization'
import { interleaved, pythonVenv, speedRow, startWorker } from './lib/index.mjs'

/**
 * Plain torch is whole-tensor code as bitsandbytes has it; both sides then allocate their results. Tuned torch works in pieces
 * that fit the cache, in the fastest of several ways, into memory allocated before, as ours then does too. The bytes of both sides
 * are compared first. The native backend takes its results from its own pool. How fast this machine's memory can be written at
 * all is in the last row: filling the same amount with a constant that is not zero (memset).
 *
 * @param options `rounds` (default 7), `elements` (default 2^24, 64 MiB of float32)
 */
export async function run({ rounds = 7, elements = 1 << 24 } = {}) {
  const python = await pythonVenv(['torch', 'numpy'])
  const rows = []
  registerNativeBackend()
  await tf.setBackend('native')
  const memory = Buffer.alloc(4 * elements)
  for (const threads of [1, 2]) {
    const peer = startWorker(python, [new URL('lib/quantize.py', import.meta.url).pathname])
    const pool = createQuantizationPool({ threads })
    const folder = await mkdtemp(join(tmpdir(), 'bench-quantize-'))
    try {
      await peer.call({ call: 'prepare', elements, threads })
      const shared = () => new Float32Array(new SharedArrayBuffer(4 * elements))
      // Threads need shared memory; a single thread is faster without.
      const [data, out] =
        threads === 1 ? [new Float32Array(elements), new Float32Array(elements)] : [shared(), shared()]
      for (const what of ['quantize', 'dequantize']) await peer.call({ call: 'tuned', what })
      await peer.call({ call: 'save', folder })
      const load = async (name, Type) => new Type((await readFile(join(folder, name))).buffer)
      data.set(await load('x', Float32Array))
      const quantized = await pool.quantize4bit({ data, quantType: 'nf4', blocksize: 64 })
      await pool.dequantize4bit({ quantized, out })
      check('packed', quantized.packed, await load('packed', Uint8Array))
      check('absmax', quantized.absmax, await load('absmax', Float32Array))
      check('dequantized', out, await load('out', Float32Array))

      const weight = packedWeight({
        format: 'nf4',
        outFeatures: elements / 4096,
        inFeatures: 4096,
        blockSize: 64,
        bytes: quantized.packed,
        absmax: quantized.absmax,
        code: NF4_MAP,
      })
      setNumThreads(threads)
      const native = () => dequantize(weight).dispose()
      const values = dequantize(weight)
      check('natively dequantized', values.dataSync(), out)
      values.dispose()

      const settings = { data, quantType: 'nf4', blocksize: 64 }
      const quantize = () => pool.quantize4bit(settings)
      const cases = [
        ['quantize', 'plain', quantize],
        ['dequantize', 'plain', native],
        ['quantize', 'tuned', quantize],
        ['dequantize', 'tuned', native],
        ['dequantize', 'plain', () => pool.dequantize4bit({ quantized }), 'in WebAssembly, '],
        ['dequantize', 'tuned', () => pool.dequantize4bit({ quantized, out }), 'in WebAssembly, '],
      ]
      const suffix = `${threads} thread${threads > 1 ? 's' : ''}`
      const row = (name, seconds) =>
        rows.push(speedRow({ case: name, seconds, amount: (4 * elements) / 1e9, unit: 'GB/s' }))
      for (const [what, style, ours, where = ''] of cases) {
        const work = async () => void (await ours())
        const theirs = async () => (await peer.call({ call: style, what })).seconds
        row(
          `nf4 ${what}, ${where}${suffix}, ${style} torch`,
          await interleaved({ ours: work, peer: theirs }, { rounds, warmup: 3 }),
        )
      }
      row(
        `nf4 dequantize, ${suffix}, against memset`,
        await interleaved({ ours: native, peer: () => void memory.fill(3) }, { rounds, warmup: 3 }),
      )
      disposeWeight(weight)
    } finally {
      peer.close()
      await pool.close()
      await rm(folder, { recursive: true })
    }
  }
  return { rows }
}

function check(name, ours, theirs) {
  const differs = ours.length !== theirs.length || ours.some((value, i) => value !== theirs[i])
  if (differs) throw new Error(`${name}: ours and torch's differ`)
}
