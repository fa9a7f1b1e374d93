/**
 * Tokens per second of reading a prompt and of greedy decoding, against transformers with its cache and llama.cpp.
 * TinyLlama-1.1B's shape with random weights: a prompt of 512 tokens; one sequence; 16 sequences at once, whose prompts are read before
 * the clock starts. Ours in bf16 stands against transformers in float32 and bf16 and llama.cpp's BF16, in NF4 against Q4_0, in int8
 * against Q8_0; llama.cpp reads files of our export. All processes stay up to take turns: 15 GB, and 4 GB of files; `--peers=` leaves out
 * the peers.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { interleaved, pythonVenv, runChild, speedRow, startWorker } from './lib/index.mjs'
import { TINY_LLAMA } from './lib/random-model.mjs'

/** What each of our formats stands against: dtypes of transformers and a type of GGUF file. */
const PEERS = {
  f32: { transformers: ['float32'], gguf: 'f32' },
  bf16: { transformers: ['float32', 'bf16'], gguf: 'bf16' },
  nf4: { transformers: [], gguf: 'q4_0' },
  int8: { transformers: [], gguf: 'q8_0' },
}

const beside = (file) => new URL(file, import.meta.url)
const llamaCpp = (type) => `llama.cpp ${type.toUpperCase()}`
const transformers = (dtype) => `transformers ${dtype}`

const promptOf = (length, seed) =>
  Array.from({ length }, (_, i) => 3 + (((i + 512 * seed) * 7919) % (TINY_LLAMA.vocab_size - 3)))

/** The processes of the peers by name, ready. */
async function startPeers(formats, folder, settings) {
  const wanted = formats.map((format) => PEERS[format])
  const types = wanted.map(({ gguf }) => gguf)
  const peers = {}
  for (const dtype of new Set(wanted.flatMap((each) => each.transformers))) {
    const python = await pythonVenv(['torch', 'transformers'])
    peers[transformers(dtype)] = startWorker(python, [beside('decode.peer.py')])
    await peers[transformers(dtype)].call({ call: 'prepare', dtype, ...settings })
  }
  const { stdout } = await runChild(process.execPath, [
    beside('decode.export.mjs'),
    JSON.stringify({ folder, types, config: settings.config }),
  ])
  for (const [type, file] of Object.entries(JSON.parse(stdout.trim().split('\n').at(-1)))) {
    peers[llamaCpp(type)] = startWorker(process.execPath, [beside('decode.llama-cpp.mjs')])
    await peers[llamaCpp(type)].call({ call: 'prepare', file, ...settings })
  }
  return peers
}

export async function run({
  rounds = 5,
  formats = 'bf16,nf4,int8',
  tokens = 64,
  layers = TINY_LLAMA.num_hidden_layers,
  threads = availableParallelism(),
  peers: withPeers = true,
} = {}) {
  const names = String(formats).split(',')
  const settings = { config: { ...TINY_LLAMA, num_hidden_layers: layers }, threads }
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-bench-'))
  const workers = {}
  try {
    for (const format of names) {
      workers[format] = startWorker(process.execPath, [beside('decode.ours.mjs')])
      await workers[format].call({ call: 'prepare', format, ...settings })
    }
    if (withPeers) Object.assign(workers, await startPeers(names, folder, settings))

    const cases = [
      { name: 'prompt of 512', prompts: [promptOf(512, 0)], tokens: 0, amount: 512 },
      { name: `${tokens} tokens after 64`, prompts: [promptOf(64, 0)], tokens, amount: tokens },
      {
        name: `16 x ${tokens} tokens after 32`,
        prompts: Array.from({ length: 16 }, (_, s) => promptOf(32, s)),
        tokens,
        amount: 16 * tokens,
      },
    ]
    const rows = []
    for (const { name, amount, ...work } of cases) {
      const contender = (worker) => async () => {
        const { reading, writing } = await worker.call({ call: 'decode', ...work })
        return work.tokens === 0 ? reading : writing
      }
      for (const worker of Object.values(workers)) {
        await contender(worker)()
        worker.resetPeakMemory()
      }
      const contenders = Object.fromEntries(Object.entries(workers).map(([key, worker]) => [key, contender(worker)]))
      const seconds = await interleaved(contenders, { rounds, warmup: 0 })
      for (const format of names) {
        const peers = [...PEERS[format].transformers.map(transformers), llamaCpp(PEERS[format].gguf)]
        const ofPeers = (value) =>
          Object.fromEntries(peers.filter((peer) => workers[peer]).map((peer) => [peer, value(peer)]))
        rows.push(
          speedRow({
            case: `${format}, ${name}`,
            seconds: { ours: seconds[format] },
            peers: ofPeers((peer) => seconds[peer]),
            peersMemory: ofPeers((peer) => workers[peer].peakMemory()),
            amount,
            unit: 'tokens/s',
            oursMemory: workers[format].peakMemory(),
          }),
        )
      }
    }
    return { rows }
  } finally {
    for (const worker of Object.values(workers)) worker.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
