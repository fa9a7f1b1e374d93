// Our side of gguf.mjs: `FOLDER CONFIG`.
import { fileURLToPath } from 'node:url'
import { selectBackend } from '@tunesmith/backend'
import { exportGguf } from '@tunesmith/models'
import { Tokenizer } from '@tunesmith/tokenization'
import { randomModel } from './lib/random-model.mjs'
import { serve } from './lib/serve.mjs'

const [folder, config] = process.argv.slice(2)
await selectBackend({ backend: 'native' })
const model = randomModel(JSON.parse(config), 'bf16')
// Any will do: the weights are what is written.
const fixture = new URL('../packages/models/src/fixtures/tokenizers/byte-level', import.meta.url)
const tokenizer = await Tokenizer.fromPretrained(fileURLToPath(fixture))

serve({
  async write({ type }) {
    const start = performance.now()
    const { file } = await exportGguf(model, tokenizer, folder, { type, name: 'bench' })
    return { seconds: (performance.now() - start) / 1000, file }
  },
})
