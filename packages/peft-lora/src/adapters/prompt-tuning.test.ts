import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { describe, expect, it } from 'vitest'
import { savePeftModel } from '../files'
import { loadPeftModel } from '../index'
import { getPeftModel } from '../peft-model'
import { testAdapter, tinyModel } from '../testing'

const suite = { keys: ['prompt_embeddings'], mergeable: false, startsAsBase: false }

testAdapter({ name: 'prompt tuning', config: { peftType: 'PROMPT_TUNING', numVirtualTokens: 3 }, ...suite })

testAdapter({
  name: 'prompt tuning of a model with a sliding window',
  config: { peftType: 'PROMPT_TUNING', numVirtualTokens: 5, promptTuningInit: 'SAMPLE_VOCAB' },
  model: { config: { model_type: 'mistral', sliding_window: 4 } },
  ...suite,
})

testAdapter({
  name: 'prompt tuning of a model with scaled embeddings',
  config: { peftType: 'PROMPT_TUNING', numVirtualTokens: 2, modulesToSave: ['model.norm'] },
  model: { config: { model_type: 'gemma2', query_pre_attn_scalar: 8, head_dim: 8 } },
  ...suite,
  keys: ['prompt_embeddings', 'base_model.model.norm.weight'],
})

/** Words that are ids, with a token at the start as Llama has it. */
const TOKENIZER = {
  version: '1.0',
  added_tokens: [{ id: 1, content: '<s>', special: true }],
  pre_tokenizer: { type: 'Whitespace' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
  },
  model: { type: 'WordLevel', vocab: { '<unk>': 0, '<s>': 1, sort: 2, these: 3, notes: 4 }, unk_token: '<unk>' },
}

describe('prompt tuning from a text', () => {
  it('begins with the embeddings of the text, repeated or cut, and needs the tokenizer only then', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tunesmith-prompt-'))
    await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(TOKENIZER))
    const text = { peftType: 'PROMPT_TUNING' as const, promptTuningInit: 'TEXT' as const }
    for (const [numVirtualTokens, ids] of [
      [2, [1, 2]],
      [7, [1, 2, 3, 4, 1, 2, 3]],
    ] as const)
      for (const model_type of ['llama', 'gemma2']) {
        const model = tinyModel({ config: { model_type, head_dim: 8 } })
        const peft = getPeftModel(model, {
          ...text,
          numVirtualTokens,
          promptTuningInitText: 'sort these notes',
          tokenizerNameOrPath: folder,
        })
        const wanted = tf.tidy(() => model.embed(tf.tensor1d([...ids], 'int32')).dataSync())
        expect(peft.parameters().get('prompt_embeddings')!.dataSync()).toEqual(wanted)
        await savePeftModel(peft, join(folder, 'saved'))
        peft.unload().dispose()
      }
    await rm(join(folder, 'tokenizer.json'))
    const again = await loadPeftModel(
      tinyModel({ config: { model_type: 'gemma2', head_dim: 8 } }),
      join(folder, 'saved'),
    )
    expect(again.config).toMatchObject({ promptTuningInitText: 'sort these notes', numVirtualTokens: 7 })
    again.unload().dispose()
    await rm(folder, { recursive: true })
  })

  it('says what is missing', () => {
    const model = tinyModel()
    const text = { peftType: 'PROMPT_TUNING' as const, promptTuningInit: 'TEXT' as const, numVirtualTokens: 2 }
    expect(() => getPeftModel(model, text)).toThrow('no promptTuningInitText')
    expect(() => getPeftModel(model, { ...text, promptTuningInitText: 'a' })).toThrow('no tokenizer.json')
    model.dispose()
  })
})
