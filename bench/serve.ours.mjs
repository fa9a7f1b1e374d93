// Our side of serve.mjs: a server in a process of its own.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { setNumThreads } from '@tunesmith/backend-native'
import { Engine, savePretrained } from '@tunesmith/models'
import { engineAdapters, getPeftModel, PeftModel, savePeftModel } from '@tunesmith/peft-lora'
import { createApp, startServer } from '@tunesmith/serve'
import { Tokenizer } from '@tunesmith/tokenization'
import { randomModel } from './lib/random-model.mjs'
import { serve } from './lib/serve.mjs'
import { wordTokenizer } from './lib/word-tokenizer.mjs'

let engine

async function prepare({ config, threads, adapters: count, folder, modelFolder, maxWaiting = 64 }) {
  await selectBackend({ backend: 'native' })
  setNumThreads(threads)
  const model = randomModel(config, 'bf16')
  const tokenizerFolder = join(folder, 'tokenizer')
  mkdirSync(tokenizerFolder)
  writeFileSync(join(tokenizerFolder, 'tokenizer.json'), JSON.stringify(wordTokenizer(config.vocab_size - 1)))
  const named = { tokenizer_class: 'PreTrainedTokenizerFast', eos_token: '</s>' }
  writeFileSync(join(tokenizerFolder, 'tokenizer_config.json'), JSON.stringify(named))
  if (modelFolder) await save(model, tokenizerFolder, modelFolder)
  for (let i = 0; i < count; i++) {
    const options = { r: 16, loraAlpha: 32, targetModules: ['q_proj', 'v_proj'], initLoraWeights: false }
    const made = getPeftModel(model, options)
    await savePeftModel(made, join(folder, `adapter-${i}`))
    made.unload()
  }
  const adapters = engineAdapters(new PeftModel(model))
  engine = new Engine(model, { cacheTokens: 8192, maxWaiting }, adapters)
  for (let i = 0; i < count; i++) await engine.loadAdapter(`adapter-${i}`, join(folder, `adapter-${i}`))
  const tokenizer = await Tokenizer.fromPretrained(tokenizerFolder)
  const app = createApp({ engine, tokenizer, modelName: 'base', adapters: adapters.names })
  const { url } = await startServer(app, engine, { port: 0 })
  return { url }
}

/** The same answers without a server. */
async function library({ prompts, tokens }) {
  const start = performance.now()
  let count = 0
  await Promise.all(
    prompts.map(async (prompt) => {
      for await (const { type } of engine.submit({ prompt, maxNewTokens: tokens, stopTokenIds: [] }))
        if (type === 'token') count++
    }),
  )
  return { rate: (count / (performance.now() - start)) * 1000 }
}

/** The model as a folder that transformers serves, beside its tokenizer. */
async function save(model, tokenizerFolder, folder) {
  await savePretrained(model, folder)
  cpSync(tokenizerFolder, folder, { recursive: true })
  const file = join(folder, 'config.json')
  const config = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...config, architectures: ['LlamaForCausalLM'] }))
}

await serve({ prepare, library, forget: async () => engine.forget() })
