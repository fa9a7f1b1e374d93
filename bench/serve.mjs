/**
 * The server under load, against llama.cpp with as many sequences and `transformers serve`. TinyLlama-1.1B's shape with random weights in
 * bf16, prompts of 128 tokens and answers of as many: one client and 16, over one adapter and four, over HTTP and in the library; a second
 * turn on a prompt of 1,500 tokens that the cache holds; how long `/health` waits meanwhile; then `--clients` clients for `--seconds` on
 * a tiny model, each of whose answers must be the one it gets alone. 9 GB with the peers, and 2.2 GB of files each; `--layers=4` is a
 * smaller model, `--peers=` leaves out the peers, `--only=load` all but the tiny model.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { median, pythonVenv, row, runChild, startWorker } from './lib/index.mjs'
import { TINY_LLAMA } from './lib/random-model.mjs'
import { streamCompletion } from './lib/stream-completion.mjs'

const beside = (file) => new URL(file, import.meta.url)
const promptOf = (length, seed) =>
  Array.from({ length }, (_, i) => 3 + (((i + 512 * seed) * 7919) % (TINY_LLAMA.vocab_size - 3)))
const count = (n, make) => Array.from({ length: n }, (_, i) => make(i))
const quantile = (values, part) => [...values].sort((a, b) => a - b)[Math.floor(part * (values.length - 1))]

/** Clients at once; the tokens per second of reading the prompts up to the last first token, of what came after, and of all. */
async function together(url, bodies) {
  const start = performance.now()
  const answers = await Promise.all(bodies.map((body) => streamCompletion(url, body)))
  const end = performance.now()
  const first = Math.max(...answers.map(({ first }) => first))
  const prompt = bodies.reduce((sum, { prompt }) => sum + prompt.length, 0)
  const tokens = answers.reduce((sum, { tokens }) => sum + tokens, 0)
  const late = answers.reduce((sum, { times }) => sum + times.filter((time) => time > first).length, 0)
  return {
    reading: (prompt / (first - start)) * 1000,
    writing: (late / (end - first)) * 1000,
    all: (tokens / (end - start)) * 1000,
    first: answers.map(({ first }) => first - start),
    seconds: (end - start) / 1000,
  }
}

/** Milliseconds that `/health` takes while `work` runs. */
async function healthDuring(url, work) {
  const waits = []
  let going = true
  const asking = (async () => {
    while (going) {
      const start = performance.now()
      await (await fetch(`${url}/health`)).text()
      waits.push(performance.now() - start)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  const result = await work()
  going = false
  await asking
  return { result, waits }
}

async function ofLlamaCpp(folder, settings, prompts, tokens) {
  const { stdout } = await runChild(process.execPath, [
    beside('decode.export.mjs'),
    JSON.stringify({ folder, types: ['bf16'], config: settings.config }),
  ])
  const worker = startWorker(process.execPath, [beside('decode.llama-cpp.mjs')])
  try {
    const file = JSON.parse(stdout.trim().split('\n').at(-1)).bf16
    await worker.call({ call: 'prepare', file, ...settings })
    await worker.call({ call: 'decode', prompts, tokens: 4 })
    const { reading, writing } = await worker.call({ call: 'decode', prompts, tokens: tokens - 1 })
    return {
      reading: (prompts.length * prompts[0].length) / reading,
      writing: (prompts.length * (tokens - 1)) / writing,
    }
  } finally {
    worker.close()
  }
}

/** Tokens per second of all clients together. */
async function ofTransformers(model, clients, tokens) {
  const python = await pythonVenv(['torch', 'transformers', 'fastapi', 'uvicorn', 'openai', 'requests'])
  const worker = startWorker(python, [beside('serve.peer.py')])
  try {
    const { url } = await worker.call({ call: 'prepare', model })
    const body = (i) => ({
      model,
      prompt: promptOf(128, i)
        .map((id) => `w${id}`)
        .join(' '),
      max_tokens: tokens,
      temperature: 0,
    })
    await streamCompletion(url, { ...body(0), max_tokens: 2 })
    return (await together(url, count(clients, body))).all
  } finally {
    await worker.call({ call: 'stop' }).catch(() => undefined)
    worker.close()
  }
}

async function onTheModel({ layers, tokens, clients, threads, peers }) {
  const settings = { config: { ...TINY_LLAMA, num_hidden_layers: layers }, threads }
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-bench-'))
  const ours = startWorker(process.execPath, [beside('serve.ours.mjs')])
  try {
    const model = join(folder, 'model')
    const { url } = await ours.call({
      call: 'prepare',
      ...settings,
      ...{ adapters: 4, folder, modelFolder: peers ? model : undefined },
    })
    const prompts = count(clients, (i) => promptOf(128, i))
    const body = (prompt, model) => ({ model, prompt, max_tokens: tokens, temperature: 0, ignore_eos: true })
    const forget = () => ours.call({ call: 'forget' })
    const ask = async (model = () => 'base', some = prompts) => {
      await forget()
      return together(
        url,
        some.map((prompt, i) => body(prompt, model(i))),
      )
    }
    await ask(
      undefined,
      prompts.slice(0, 2).map((prompt) => prompt.slice(0, 32)),
    )
    const one = await ask(undefined, prompts.slice(0, 1))
    const all = await ask()
    await forget()
    const library = await ours.call({ call: 'library', prompts, tokens })
    const { waits } = await healthDuring(url, () => ask())
    const oneAdapter = await ask(() => 'adapter-0')
    const fourAdapters = await ask((i) => `adapter-${i % 4}`)
    await forget()
    const long = promptOf(1500, 99)
    const short = (prompt) => ({ ...body(prompt, 'base'), max_tokens: 1 })
    const cold = (await together(url, [short(long)])).first[0]
    const turn = (await together(url, [short([...long, ...promptOf(20, 7)])])).first[0]
    const rate = 'tokens/s'
    const rows = [
      row({ case: `${clients} clients, against one`, ours: all.all, peer: one.all, unit: rate }),
      row({ case: `${clients} clients over HTTP, against the library`, ours: all.all, peer: library.rate, unit: rate }),
      row({
        case: `${clients} clients over 4 adapters, against one adapter`,
        ours: fourAdapters.all,
        peer: oneAdapter.all,
        unit: rate,
      }),
      row({
        case: 'first token of a second turn on 1,500 tokens, against the first turn',
        ours: turn / 1000,
        peer: cold / 1000,
        unit: 's',
        lowerIsBetter: true,
      }),
      row({ case: `/health during ${clients} answers, median`, ours: median(waits), unit: 'ms' }),
      row({ case: `/health during ${clients} answers, 99 of 100 within`, ours: quantile(waits, 0.99), unit: 'ms' }),
    ]
    if (peers) {
      const llamaCpp = await ofLlamaCpp(folder, settings, prompts, tokens)
      rows.push(
        row({
          case: `${clients} clients, answers, against llama.cpp BF16`,
          ours: all.writing,
          peer: llamaCpp.writing,
          unit: rate,
        }),
        row({
          case: `${clients} clients, prompts, against llama.cpp BF16`,
          ours: all.reading,
          peer: llamaCpp.reading,
          unit: rate,
        }),
      )
      const theirs = await ofTransformers(model, clients, tokens)
      rows.push(
        row({ case: `${clients} clients, against transformers serve`, ours: all.all, peer: theirs, unit: rate }),
      )
    }
    return rows
  } finally {
    ours.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Many clients on a tiny model: no answer may be dropped or be another one's, and memory stays where it is. */
async function load({ loadClients, seconds, threads }) {
  const ours = startWorker(process.execPath, [beside('serve.ours.mjs')])
  const config = {
    ...TINY_LLAMA,
    num_hidden_layers: 2,
    hidden_size: 64,
    intermediate_size: 128,
    num_attention_heads: 4,
    num_key_value_heads: 2,
  }
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-bench-'))
  try {
    const { url } = await ours.call({ call: 'prepare', config, threads, adapters: 4, folder, maxWaiting: loadClients })
    const asked = count(40, (i) => ({
      model: i % 5 === 4 ? 'base' : `adapter-${i % 5}`,
      prompt: promptOf(8 + (i % 7) * 5, i % 8),
      max_tokens: 8 + (i % 5) * 4,
      temperature: 0,
      ignore_eos: true,
    }))
    const alone = []
    for (const body of asked) alone.push((await streamCompletion(url, body)).text)
    await ours.call({ call: 'forget' })
    const [first, memory] = [[], []]
    let [answers, wrong] = [0, 0]
    const end = performance.now() + seconds * 1000
    const client = async (c) => {
      for (let i = c; performance.now() < end; i = (i * 17 + 11) % asked.length) {
        const start = performance.now()
        const answer = await streamCompletion(url, asked[i % asked.length])
        first.push(answer.first - start)
        answers++
        if (answer.text !== alone[i % asked.length]) wrong++
      }
    }
    const watching = (async () => {
      while (performance.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 1000))
        memory.push(ours.memory())
      }
    })()
    await Promise.all([...count(loadClients, client), watching])
    if (wrong > 0) throw new Error(`${wrong} of ${answers} answers were not those of a client alone`)
    const third = Math.ceil(memory.length / 3)
    return [
      row({
        case: `${loadClients} clients for ${seconds} s on a tiny model`,
        ours: answers / seconds,
        unit: 'answers/s',
      }),
      row({ case: 'the same: first token, median', ours: median(first), unit: 'ms' }),
      row({ case: 'the same: first token, 99 of 100 within', ours: quantile(first, 0.99), unit: 'ms' }),
      row({
        case: 'the same: memory of the last third of the time, against the second',
        ours: median(memory.slice(-third)) / 2 ** 20,
        peer: median(memory.slice(third, 2 * third)) / 2 ** 20,
        unit: 'MiB',
        lowerIsBetter: true,
      }),
    ]
  } finally {
    ours.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @param options `layers` (22), `tokens` (128), `clients` (16), `loadClients` (200), `seconds` (60), `peers`, `threads` (all), `only` (`model` or `load`) */
export async function run({
  layers = TINY_LLAMA.num_hidden_layers,
  tokens = 128,
  clients = 16,
  loadClients = 200,
  seconds = 60,
  peers = true,
  threads = availableParallelism(),
  only = '',
} = {}) {
  const rows = only === 'load' ? [] : await onTheModel({ layers, tokens, clients, threads, peers })
  if (only !== 'model') rows.push(...(await load({ loadClients, seconds, threads })))
  return { rows }
}
