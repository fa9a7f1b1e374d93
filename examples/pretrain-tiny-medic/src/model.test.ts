import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { loadModel } from '@tunesmith/models'
import { Tokenizer } from '@tunesmith/tokenization'
import { expect, test } from 'vitest'
import { proseDocument } from './corpus'
import { tokenizeDocuments } from './examples'
import { modelFolder, settings } from './settings'

test('config, tokenizer and weights are 12 MB at most', () => {
  const bytes = readdirSync(modelFolder).reduce((sum, name) => sum + statSync(join(modelFolder, name)).size, 0)
  expect(bytes).toBeLessThan(12_000_000)
})

test('the committed weights foretell text that training never reached', async () => {
  await selectBackend()
  const model = await loadModel(modelFolder)
  const tokenizer = await Tokenizer.fromPretrained(modelFolder)
  expect(model.parameterCount()).toBeGreaterThan(3_000_000)
  expect(model.parameterCount()).toBeLessThan(5_000_000)
  const { seed, validation } = settings
  let [nll, tokens] = [0, 0]
  for (const { inputIds } of tokenizeDocuments(tokenizer, (i) => proseDocument(seed, i), {
    start: validation.start,
    count: 8,
  })) {
    const ids = Array.from(inputIds)
    const positions = ids.map((_, i) => i)
    const { loss } = model.loss({ inputIds: ids, positions, cuSeqlens: [0, ids.length] }, [...ids.slice(1), -100])
    nll += loss.dataSync()[0]!
    tokens += ids.length - 1
  }
  expect(Math.exp(nll / tokens)).toBeLessThan(2)
})
