import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { selectBackend } from '@tunesmith/backend'
import { createModel, exportGguf, generate } from '@tunesmith/models'
import { Tokenizer } from '@tunesmith/tokenization'
import { openInLlamaCpp } from '@tunesmith/tooling/llama-cpp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { exportPeftGguf, getPeftModel, type PeftConfigOptions } from './index'

let folder: string
let tokenizer: Tokenizer
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-gguf-lora-'))
  tokenizer = await Tokenizer.fromPretrained(
    fileURLToPath(new URL('../../models/src/fixtures/tokenizers/byte-level', import.meta.url)),
  )
})
afterAll(() => rm(folder, { recursive: true }))

const sizes = {
  ...{ vocab_size: 334, hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 4 },
  ...{ num_key_value_heads: 2, max_position_embeddings: 128, initializer_range: 0.25, eos_token_id: 2 },
}
const prompt = Array.from({ length: 24 }, (_, i) => 3 + ((i * 37) % 320))
const random = { initLoraWeights: false, targetModules: 'all-linear' } as const

const cases: [string, Record<string, unknown>, PeftConfigOptions][] = [
  ['llama, whose rows change places', { model_type: 'llama' }, { ...random, r: 4, loraAlpha: 8 }],
  ['rank-stabilised', { model_type: 'llama' }, { ...random, r: 4, loraAlpha: 4, useRslora: true }],
  [
    'ranks and alphas by pattern',
    { model_type: 'qwen2' },
    {
      ...random,
      r: 4,
      loraAlpha: 8,
      rankPattern: { q_proj: 2 },
      alphaPattern: { down_proj: 3, '0.self_attn.v_proj': 1 },
    },
  ],
  [
    'gemma2, whose queries are scaled',
    { model_type: 'gemma2', head_dim: 16, query_pre_attn_scalar: 40 },
    { ...random, r: 2, loraAlpha: 2 },
  ],
  [
    'the head, untied',
    { model_type: 'qwen3', head_dim: 16 },
    { ...random, r: 2, loraAlpha: 4, targetModules: ['lm_head', 'k_proj'] },
  ],
]

it.each(cases)('llama.cpp gives the tokens of the adapted model: %s', async (name, config, lora) => {
  const model = createModel({ ...sizes, ...config }, { seed: 12 })
  const place = join(folder, name.replace(/\W+/g, '-'))
  const base = await exportGguf(model, tokenizer, place, { type: 'f32', name: 'base' })
  const plain = await generate(model, [prompt], { maxNewTokens: 24, stopTokenIds: [], doSample: false })
  const peft = getPeftModel(model, lora, { seed: 3 })
  const { file, modelfile } = await exportPeftGguf(peft, tokenizer, place, { name: 'mine', base: './base.f32.gguf' })
  expect(await readFile(modelfile, 'utf8')).toMatch(/^FROM \.\/base\.f32\.gguf\nADAPTER \.\/mine\.lora\.gguf\n/)
  const [ours] = await generate(model, [prompt], { maxNewTokens: 24, stopTokenIds: [], doSample: false })
  expect(ours).not.toEqual(plain[0])
  const theirs = await openInLlamaCpp(base.file, { lora: file })
  expect(await theirs.greedy(prompt, 24)).toEqual(ours)
  await theirs.close()
  model.dispose()
})

it('refuses by name what such a file cannot hold, and writes nothing', async () => {
  const refused: [PeftConfigOptions, RegExp][] = [
    [{ useDora: true }, /DoRA/],
    [{ bias: 'all' }, /trained biases \(bias: "all"\)/],
    [{ modulesToSave: ['lm_head'] }, /modulesToSave: lm_head/],
    [{ trainableTokenIndices: [3] }, /trainableTokenIndices/],
    [{ initLoraWeights: 'pissa', r: 2 }, /initLoraWeights: "pissa"/],
    [{ targetModules: ['embed_tokens'] }, /updates of the embeddings/],
    [{ peftType: 'IA3' }, /type IA3/],
  ]
  const place = join(folder, 'refused')
  for (const [options, message] of refused) {
    const model = createModel({ ...sizes, model_type: 'llama' }, { seed: 1 })
    const peft = getPeftModel(model, options)
    await expect(exportPeftGguf(peft, tokenizer, place, { base: 'x' })).rejects.toThrow(message)
    model.dispose()
  }
  const tied = createModel({ ...sizes, model_type: 'llama', tie_word_embeddings: true }, { seed: 1 })
  const peft = getPeftModel(tied, { targetModules: ['lm_head'] })
  await expect(exportPeftGguf(peft, tokenizer, place, { base: 'x' })).rejects.toThrow(/head that is the embeddings too/)
  tied.dispose()
  expect(await readdir(place).catch(() => [])).toEqual([])
})
