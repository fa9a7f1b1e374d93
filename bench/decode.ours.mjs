// Our side of decode.mjs: one process per weight format.
import { selectBackend } from '@tunesmith/backend'
import { setNumThreads } from '@tunesmith/backend-native'
import { streamTokens } from '@tunesmith/models'
import { randomModel } from './lib/random-model.mjs'
import { serve } from './lib/serve.mjs'

let model

async function prepare({ config, format, threads }) {
  await selectBackend({ backend: 'native' })
  setNumThreads(threads)
  model = randomModel(config, format)
}

/** The seconds of reading the prompts, up to a first token each, and of `tokens` more each. */
async function decode({ prompts, tokens }) {
  const start = performance.now()
  let first
  let count = 0
  for await (const _ of streamTokens(model, prompts, { maxNewTokens: tokens + 1, stopTokenIds: [] }))
    if (++count === prompts.length) first = performance.now()
  return { reading: (first - start) / 1000, writing: (performance.now() - first) / 1000 }
}

await serve({ prepare, decode })
