/** GB/s of loading and saving a safetensors file in the page cache, against the Python package. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openSafetensors, writeSafetensors } from '@tunesmith/hub'
import { interleaved, pythonVenv, runChild, speedRow, startWorker } from './lib/index.mjs'

const peerScript = new URL('safetensors.peer.py', import.meta.url)
const ownScript = fileURLToPath(import.meta.url)

/** 64 float32 tensors of `[1024, columns]`, together `mebibytes`. */
function tensors(mebibytes) {
  const columns = (mebibytes * 2 ** 20) / 64 / 1024 / 4
  return Array.from({ length: 64 }, (_, i) => {
    const data = new Float32Array(1024 * columns).fill(i + 0.5)
    return { name: `layers.${i}.weight`, dtype: 'F32', shape: [1024, columns], data: new Uint8Array(data.buffer) }
  })
}

/** Every tensor of the file, in memory of its own, as for loading a model. */
async function load(path) {
  const file = await openSafetensors(path)
  const loaded = new Map()
  for (const name of file.tensors.keys()) loaded.set(name, await file.read(name))
  await file.close()
  return loaded
}

export async function run({ rounds = 7, mebibytes = 512 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-bench-'))
  const path = join(folder, 'weights.safetensors')
  const peerPath = join(folder, 'peer.safetensors')
  const python = await pythonVenv(['safetensors', 'numpy'])
  const peer = startWorker(python, [peerScript])
  try {
    const written = tensors(mebibytes)
    const ask = async (message) => (await peer.call(message)).seconds
    await peer.call({ call: 'prepare', shape: written[0].shape, count: written.length })
    const saving = await interleaved(
      { ours: () => writeSafetensors(path, written), peer: () => ask({ call: 'save', path: peerPath }) },
      { rounds },
    )
    const loading = await interleaved(
      { ours: async () => void (await load(path)), peer: () => ask({ call: 'load', path }) },
      { rounds },
    )
    // Memory: each loads the file once more, in a process of its own.
    const ours = await runChild(process.execPath, [ownScript, path])
    const theirs = await runChild(python, [peerScript, path])
    const amount = (mebibytes * 2 ** 20) / 1e9
    const memory = { oursMemory: ours.peakMemory, peerMemory: theirs.peakMemory }
    const size = `${mebibytes} MiB`
    return {
      rows: [
        speedRow({ case: `load ${size}`, seconds: loading, amount, unit: 'GB/s', ...memory }),
        speedRow({ case: `save ${size}`, seconds: saving, amount, unit: 'GB/s' }),
      ],
    }
  } finally {
    peer.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

if (process.argv[1] === ownScript) await load(process.argv[2])
