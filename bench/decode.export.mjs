// Writes the model of decode.mjs as GGUF files for llama.cpp; prints the files by type as one JSON object.
import { fileURLToPath } from 'node:url'
import { selectBackend } from '@tunesmith/backend'
import { exportGguf } from '@tunesmith/models'
import { Tokenizer } from '@tunesmith/tokenization'
import { randomModel } from './lib/random-model.mjs'

const { folder, types, config } = JSON.parse(process.argv[2])
await selectBackend({ backend: 'native' })
const model = randomModel(config, 'bf16')
// Any will do: what is decoded are ids.
const fixture = new URL('../packages/models/src/fixtures/tokenizers/byte-level', import.meta.url)
const tokenizer = await Tokenizer.fromPretrained(fileURLToPath(fixture))
const files = {}
for (const type of types) files[type] = (await exportGguf(model, tokenizer, folder, { type, name: 'bench' })).file
console.log(JSON.stringify(files))
