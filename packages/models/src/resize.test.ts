import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { dequantize, linear, selectBackend, valueAndGrads } from '@tunesmith/backend'
import { Tokenizer } from '@tunesmith/tokenization'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type CausalLM,
  createModel,
  exportGguf,
  generate,
  loadModel,
  makeTrainable,
  packSequences,
  resizeTokenEmbeddings,
  savePretrained,
} from './index'

let folder: string
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-resize-'))
})
afterAll(() => rm(folder, { recursive: true }))

const sizes = {
  model_type: 'llama',
  vocab_size: 50,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  initializer_range: 0.3,
}
const ids = [3, 14, 15, 9, 2, 6]
const logitsOf = (model: CausalLM) =>
  tf.tidy(() => model.logits(model.forward(packSequences([ids]))).arraySync() as number[][])
const rowsOf = ({ weight }: CausalLM['embedTokens'] | CausalLM['lmHead']) =>
  tf.tidy(() => dequantize(weight).arraySync() as number[][])

describe('resizeTokenEmbeddings', () => {
  for (const dtype of ['float32', 'bfloat16', 'float16'] as const)
    for (const tied of [false, true])
      it(`${dtype}${tied ? ', tied' : ''}: old rows stay, new ones are their mean, old logits too; saved and loaded again`, async () => {
        const made = createModel({ ...sizes, tie_word_embeddings: tied }, { seed: 2 })
        await savePretrained(made, join(folder, 'one'), { dtype })
        made.dispose()
        const model = await loadModel(join(folder, 'one'))
        const before = { logits: logitsOf(model), embeddings: rowsOf(model.embedTokens), head: rowsOf(model.lmHead) }
        expect(resizeTokenEmbeddings(model, 53, { padToMultipleOf: 8 })).toEqual({ vocabSize: 56, added: 6 })
        for (const [rows, old] of [
          [rowsOf(model.embedTokens), before.embeddings],
          [rowsOf(model.lmHead), before.head],
        ] as const) {
          expect(rows.slice(0, 50)).toEqual(old)
          for (let column = 0; column < 16; column++) {
            const mean = old.reduce((sum, row) => sum + row[column]!, 0) / 50
            const limit = {
              float32: 1e-6,
              bfloat16: 2 ** -8 * Math.abs(mean),
              float16: 2 ** -10 * Math.abs(mean) + 1e-6,
            }[dtype]
            for (const row of rows.slice(50)) expect(Math.abs(row[column]! - mean)).toBeLessThanOrEqual(limit)
          }
        }
        expect(model.lmHead.weight === model.embedTokens.weight).toBe(tied)
        logitsOf(model).forEach((row, t) => {
          expect(row).toHaveLength(56)
          row.slice(0, 50).forEach((value, i) => {
            expect(Math.abs(value - before.logits[t]![i]!)).toBeLessThan(1e-5)
          })
        })
        expect(model.parameterCount()).toBe((tied ? 1 : 2) * 56 * 16 + 2 * (4 * 16 * 16 + 3 * 16 * 24 + 2 * 16) + 16)
        // The new tokens can be read and written.
        expect((await generate(model, [[55, 3]], { maxNewTokens: 2, stopTokenIds: [] }))[0]).toHaveLength(2)
        await savePretrained(model, join(folder, 'two'))
        const loaded = await loadModel(join(folder, 'two'))
        expect(loaded.config.vocabSize).toBe(56)
        expect(logitsOf(loaded)).toEqual(logitsOf(model))
        loaded.dispose()
        model.dispose()
      })

  it('of a model that is trained: the new rows are trained too', () => {
    const model = createModel(sizes, { seed: 2 })
    resizeTokenEmbeddings(model, 52)
    const parameters = makeTrainable(model, ['embed_tokens', 'lm_head'])
    const { value, grads } = valueAndGrads(
      () => model.loss(packSequences([[51, 50, 51]]), [50, 51, -100]).loss,
      [...parameters.values()],
    )
    for (const gradient of grads) {
      expect(gradient.shape).toEqual([52, 16])
      const rows = gradient.arraySync() as number[][]
      for (const row of [50, 51]) expect(Math.max(...rows[row]!.map(Math.abs))).toBeGreaterThan(0)
    }
    tf.dispose([value, ...grads])
    model.dispose()
  })

  it('goes with the tokens of a tokenizer, into GGUF too', async () => {
    const tokenizer = await Tokenizer.fromPretrained(
      fileURLToPath(new URL('fixtures/tokenizers/byte-level', import.meta.url)),
    )
    const model = createModel({ ...sizes, vocab_size: tokenizer.vocabSize }, { seed: 2 })
    const { vocabSize } = tokenizer.addTokens(['<|tool|>', '<|result|>'])
    expect(resizeTokenEmbeddings(model, vocabSize)).toEqual({ vocabSize, added: 2 })
    const [id] = tokenizer.encode('<|tool|>', { addSpecialTokens: false }).ids
    const hidden = tf.tidy(() => model.forward(packSequences([[id!]])).shape)
    expect(hidden).toEqual([1, 16])
    await exportGguf(model, tokenizer, folder, { type: 'f32', name: 'grown' })
    model.dispose()
  })

  it('is refused with fewer rows, with an adapter, and for quantized embeddings; nothing is changed then', () => {
    const model = createModel(sizes)
    const before = model.embedTokens.weight
    expect(() => resizeTokenEmbeddings(model, 49)).toThrow('50 rows for tokens, and 49')
    expect(() => resizeTokenEmbeddings(model, 52, { padTo: 8 } as never)).toThrow('padTo')
    model.lmHead.override = (x) => linear(x, model.lmHead.weight)
    expect(() => resizeTokenEmbeddings(model, 52)).toThrow('Resize the model first')
    model.lmHead.override = undefined
    const format = model.lmHead.weight
    model.lmHead.weight = { ...format, format: 'int8' }
    expect(() => resizeTokenEmbeddings(model, 52)).toThrow(/quantized \(int8\).*lm_head/)
    model.lmHead.weight = format
    expect(model.embedTokens.weight).toBe(before)
    expect(resizeTokenEmbeddings(model, 50)).toEqual({ vocabSize: 50, added: 0 })
    model.dispose()
  })
})
