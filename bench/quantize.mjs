/** NF4 quantize and dequantize in GB/s of float32, ours in WebAssembly against vectorised torch, one thread and two. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createQuantizationPool } from '@tunesmith/quantization'
import { interleaved, pythonVenv, speedRow, startWorker } from './lib/index.mjs'

/**
 * Plain torch is whole-tensor code as bitsandbytes has it; both sides then allocate their results. Tuned torch works in pieces
 * that fit the cache, in the fastest of several ways, into memory allocated before, as ours then does too. The bytes of both sides
 * are compared first.
 *
 * @param options `rounds` (default 7), `elements` (default 2^24, 64 MiB of float32)
 */
export async function run({ rounds = 7, elements = 1 << 24 } = {}) {
  const python = await pythonVenv(['torch', 'numpy'])
  const rows = []
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

      const settings = { data, quantType: 'nf4', blocksize: 64 }
      const ours = {
        plain: { quantize: () => pool.quantize4bit(settings), dequantize: () => pool.dequantize4bit({ quantized }) },
        tuned: {
          quantize: () => pool.quantize4bit(settings),
          dequantize: () => pool.dequantize4bit({ quantized, out }),
        },
      }
      for (const style of ['plain', 'tuned'])
        for (const what of ['quantize', 'dequantize']) {
          const work = () => ours[style][what]().then(() => undefined)
          const theirs = async () => (await peer.call({ call: style, what })).seconds
          const seconds = await interleaved({ ours: work, peer: theirs }, { rounds, warmup: 3 })
          const name = `nf4 ${what}, ${threads} thread${threads > 1 ? 's' : ''}, ${style} torch`
          rows.push(speedRow({ case: name, seconds, amount: (4 * elements) / 1e9, unit: 'GB/s' }))
        }
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
