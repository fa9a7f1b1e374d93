// Our side of decode.mjs: one process per weight format.
import { selectBackend } from '@tunesmith/backend'
import { setNumThreads } from '@tunesmith/backend-native'
import { streamTokens } from '@tunesmith/models'
import { ownPeakMemory } from './lib/index.mjs'
import { randomModel } from './lib/random-model.mjs'
import { serve } from './lib/serve.mjs'

let model

async function prepare({ config, format, threads }) {
  await selectBackend({ backend: 'native' })
  setNumThreads(threads)
  model = randomModel(config, format)
}

/** The seconds from the first new token to the last of `tokens` more. */
async function decode({ ids, tokens }) {
  let start
  for await (const _ of streamTokens(model, [ids], { maxNewTokens: tokens + 1, stopTokenIds: [] }))
    start ??= performance.now()
  return { seconds: (performance.now() - start) / 1000 }
}

const handlers = { prepare, decode, memory: () => ({ peakMemory: ownPeakMemory() }) }

await serve(handlers)
