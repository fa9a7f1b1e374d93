// llama.cpp's side of decode.mjs, as node-llama-cpp has it prebuilt: one process per GGUF file.
import { getLlama } from 'node-llama-cpp'
import { serve } from './lib/serve.mjs'

let model
let threads

async function prepare({ file, threads: wanted }) {
  threads = wanted
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    logLevel: 'error',
    progressLogs: false,
    maxThreads: threads,
  })
  model = await llama.loadModel({ modelPath: file, ignoreMemorySafetyChecks: true })
}

/** The seconds of reading the prompts, up to a first token each, and of `tokens` more each, which are read in one batch per step. */
async function decode({ prompts, tokens }) {
  const contextSize = Math.max(...prompts.map(({ length }) => length)) + tokens + 1
  const context = await model.createContext({ sequences: prompts.length, contextSize, batchSize: 512, threads })
  const options = { temperature: 0, yieldEogToken: true }
  const answers = prompts.map((prompt) => context.getSequence().evaluate(prompt, options))
  const step = () => Promise.all(answers.map((answer) => answer.next()))
  const seconds = (since) => (performance.now() - since) / 1000
  try {
    const start = performance.now()
    await step()
    const reading = seconds(start)
    const first = performance.now()
    for (let i = 0; i < tokens; i++) if ((await step()).some(({ done }) => done)) throw new Error('a sequence ended')
    return { reading, writing: seconds(first) }
  } finally {
    await context.dispose()
  }
}

await serve({ prepare, decode })
