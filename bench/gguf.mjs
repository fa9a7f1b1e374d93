/**
 * Seconds of writing a model of 2.2 GB in bfloat16 as quantized GGUF files, against llama.cpp's own quantizer: both with all cores, from memory (ours)
 * and from a bfloat16 GGUF file in the page cache (theirs). TinyLlama-1.1B's shape with random weights. The tensors of both files are compared
 * byte for byte. --types are others, with commas between; --layers is another size.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { readGgufHead } from '@tunesmith/models'
import { interleaved, pythonVenv, row, startWorker } from './lib/index.mjs'
import { TINY_LLAMA } from './lib/random-model.mjs'

/** llama.cpp's library, as node-llama-cpp's package of binaries has it. */
function llamaLibrary() {
  const main = createRequire(new URL('../packages/tooling/package.json', import.meta.url)).resolve('node-llama-cpp')
  const platform = `${process.platform === 'darwin' ? 'mac' : process.platform}-${process.arch}`
  const bins = join(createRequire(main).resolve(`@node-llama-cpp/${platform}`), '..', '..', 'bins', platform)
  const library = readdirSync(bins).find((name) => /^libllama\.(.*\.)?(so|dylib)$/.test(name))
  return join(bins, library)
}

/** Fails unless both files have the same tensors, to the bit. */
async function compare(ours, theirs) {
  const heads = [await readGgufHead(ours), await readGgufHead(theirs)]
  const files = [await open(ours), await open(theirs)]
  try {
    const theirTensors = new Map(heads[1].tensors.map((tensor) => [tensor.name, tensor]))
    if (theirTensors.size !== heads[0].tensors.length) throw new Error('the files have other tensors')
    for (const tensor of heads[0].tensors) {
      const other = theirTensors.get(tensor.name)
      const [a, b] = await Promise.all(
        [tensor, other].map(async ({ offset, bytes }, i) => {
          const { buffer } = await files[i].read(Buffer.alloc(bytes), 0, bytes, offset)
          return buffer
        }),
      )
      if (tensor.type !== other.type || !a.equals(b)) throw new Error(`${tensor.name} is not llama.cpp's`)
    }
  } finally {
    await Promise.all(files.map((file) => file.close()))
  }
}

export async function run({ rounds = 2, types = 'q4_k_m,q8_0,q4_0', layers = TINY_LLAMA.num_hidden_layers } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-bench-'))
  const library = llamaLibrary()
  const config = JSON.stringify({ ...TINY_LLAMA, num_hidden_layers: layers })
  const ours = startWorker(process.execPath, [new URL('gguf.ours.mjs', import.meta.url), folder, config])
  const python = startWorker(
    await pythonVenv(['numpy']),
    [new URL('gguf.peer.py', import.meta.url), library, String(availableParallelism())],
    { env: { ...process.env, LD_LIBRARY_PATH: dirname(library) } },
  )
  try {
    const source = (await ours.call({ call: 'write', type: 'bf16' })).file
    const rows = []
    for (const type of types.split(',')) {
      const files = {}
      const write = (who, worker, message) => async () => {
        const { seconds, file } = await worker.call(message)
        files[who] = file
        return seconds
      }
      const seconds = await interleaved(
        {
          ours: write('ours', ours, { call: 'write', type }),
          'llama.cpp': write('peer', python, {
            call: 'quantize',
            source,
            target: join(folder, `peer.${type}.gguf`),
            type,
          }),
        },
        { rounds },
      )
      await compare(files.ours, files.peer)
      for (const file of Object.values(files)) rmSync(file)
      rows.push(
        row({
          ...{ case: `as ${type}`, unit: 's', lowerIsBetter: true },
          ...{ ours: seconds.ours, oursMemory: ours.peakMemory() },
          peers: { 'llama.cpp': { value: seconds['llama.cpp'], memory: python.peakMemory() } },
        }),
      )
    }
    return { rows }
  } finally {
    ours.close()
    python.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
