/**
 * What is fuzzed: each target makes sound files, damages one, and loads it as a user would. A target is
 * `{ prepare(folder): Promise<Case[]> }`; a case is `{ file, original, mutate, load, placed }`, where `load` reads the damaged
 * file at `file` and either ends or throws; with `placed` the error must name that file.
 */
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { selectBackend } from '@tunesmith/backend'
import { loadDataset } from '@tunesmith/datasets'
import { openSafetensors } from '@tunesmith/hub'
import { createModel, loadModel, savePretrained } from '@tunesmith/models'
import { getPeftModel, loadPeftModel, savePeftModel } from '@tunesmith/peft-lora'
import { Tokenizer } from '@tunesmith/tokenization'
import { readFineTuneConfig } from 'tunesmith'
import { mutateBytes, mutateJson } from './mutate.mjs'
import { templates, tokenizers } from './originals.mjs'

const packages = new URL('../../packages/', import.meta.url)
const fixture = (name) => readFileSync(new URL(name, packages))

const rows = Array.from({ length: 12 }, (_, i) => ({ id: i, text: `line "${i}"\nwith, ü`, tags: ['a', { b: null }] }))
const jsonl = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
const csv = Buffer.from(`id,text,note\r\n${'1,"a ""b"", c\r\nd",\r\n2,plain,é\r\n3,"x",y\r\n'.repeat(2)}`)

/** Cases that are files of rows. */
const dataset = (files) => async (folder) =>
  files.map(([name, original, mutate = mutateBytes]) => {
    const file = join(folder, name)
    const load = async () => (await loadDataset(file)).toArray?.()
    return { file, original, mutate, load, placed: true }
  })

const parquet = ['snappy', 'gzip', 'brotli', 'zstd', 'lz4', 'none'].map((codec) => `sample.${codec}.parquet`)

const TINY = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  vocab_size: 300,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 8,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  rope_scaling: { rope_type: 'linear', factor: 2 },
  tie_word_embeddings: false,
  bos_token_id: 1,
  eos_token_id: [2, 3],
  torch_dtype: 'float32',
}

async function saveTinyModel(folder) {
  await selectBackend()
  const model = createModel(TINY)
  await savePretrained(model, folder)
  await writeFile(
    join(folder, 'generation_config.json'),
    JSON.stringify({
      eos_token_id: [2, 3],
      do_sample: true,
      temperature: 0.7,
      top_p: 0.9,
      top_k: 20,
      max_new_tokens: 4,
    }),
  )
  return model
}

/** Loads a model, lets it write two tokens, and frees it. */
async function runModel(folder) {
  const model = await loadModel(folder)
  try {
    await generateTwo(model)
  } finally {
    model.dispose()
  }
}

async function generateTwo(model) {
  const { generate } = await import('@tunesmith/models')
  await generate(model, [[1, 5, 6]], { maxNewTokens: 2 })
}

/** Cases that are one damaged file of a folder that is otherwise sound. */
const fileOf = (folder, name, mutate, load) => {
  const file = join(folder, name)
  return { file, original: readFileSync(file), mutate, load: () => load(folder) }
}

export const targets = {
  safetensors: async (folder) => {
    const model = await saveTinyModel(folder)
    model.dispose()
    return [
      fileOf(folder, 'model.safetensors', mutateBytes, async () => {
        const file = await openSafetensors(join(folder, 'model.safetensors'))
        try {
          for (const name of file.tensors.keys()) await file.read(name)
        } finally {
          await file.close()
        }
      }),
      fileOf(folder, 'model.safetensors', mutateBytes, runModel),
    ]
  },
  parquet: dataset([...parquet, 'encodings.parquet'].map((name) => [name, fixture(`datasets/src/fixtures/${name}`)])),
  csv: dataset([
    ['rows.csv', csv],
    ['rows.tsv', Buffer.from(csv.toString().replaceAll(',', '\t'))],
  ]),
  json: dataset([
    ['rows.jsonl', jsonl],
    ['rows.json', Buffer.from(JSON.stringify(rows, null, 1)), mutateJson],
    ['fields.json', Buffer.from(JSON.stringify({ a: rows, b: 2 }))],
    ['rows.jsonl.gz', gzipSync(jsonl)],
    ['rows.jsonl.zst', fixture('datasets/src/fixtures/lines.jsonl.zst')],
  ]),
  tokenizer: async (folder) =>
    Promise.all(
      tokenizers.map(async (json, i) => {
        const home = join(folder, String(i))
        await mkdir(home)
        await writeFile(join(home, 'tokenizer.json'), JSON.stringify(json))
        return fileOf(home, 'tokenizer.json', mutateJson, async () => {
          const tokenizer = await Tokenizer.fromPretrained(home)
          const { ids } = tokenizer.encode('Hello, "Wörld" 123  ab abc<s>\n')
          tokenizer.decode(ids)
        })
      }),
    ),
  template: async (folder) => {
    const tokenizer = new Tokenizer({ tokenizerJson: tokenizers[0] })
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: ' Hi ' },
      { role: 'assistant', content: 'Hello <b>', tool_calls: [{ function: { name: 'f', arguments: { a: 1 } } }] },
    ]
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }]
    return templates.map((text, i) => {
      const file = join(folder, `${i}.jinja`)
      const load = async () =>
        tokenizer.applyChatTemplate(messages, {
          template: readFileSync(file, 'utf8'),
          tools,
          addGenerationPrompt: true,
        })
      return { file, original: Buffer.from(text), mutate: mutateBytes, load }
    })
  },
  config: async (folder) => {
    const model = await saveTinyModel(folder)
    model.dispose()
    return ['config.json', 'config.json', 'generation_config.json'].map((name) =>
      fileOf(folder, name, mutateJson, runModel),
    )
  },
  adapter: async (folder) => {
    const model = await saveTinyModel(join(folder, 'base')).catch(async () => {
      await mkdir(join(folder, 'base'), { recursive: true })
      return saveTinyModel(join(folder, 'base'))
    })
    const home = join(folder, 'adapter')
    const peft = getPeftModel(model, {
      r: 4,
      targetModules: ['q_proj', 'v_proj'],
      rankPattern: { 'layers.0.self_attn.q_proj': 2 },
    })
    await savePeftModel(peft, home)
    model.dispose()
    const load = async () => {
      const base = await loadModel(join(folder, 'base'))
      try {
        await loadPeftModel(base, home)
        await generateTwo(base)
      } finally {
        base.dispose()
      }
    }
    return [
      fileOf(home, 'adapter_config.json', mutateJson, load),
      fileOf(home, 'adapter_model.safetensors', mutateBytes, load),
    ]
  },
  yaml: async (folder) => {
    const file = join(folder, 'train.yaml')
    const original = Buffer.from(
      [
        '# A run.',
        'model: ./model',
        'dataset: { train: rows.jsonl, test: test.jsonl }',
        'lora: &lora',
        '  r: 8',
        '  loraAlpha: 16',
        '  targetModules: [q_proj, v_proj]',
        'training:',
        '  maxSteps: 10',
        '  learningRate: 2e-4',
        '  perDeviceTrainBatchSize: 2',
        'evaluation: { maxRows: 3 }',
        'outputDir: "runs/one"',
        '',
      ].join('\n'),
    )
    return [{ file, original, mutate: mutateBytes, load: () => readFineTuneConfig(file) }]
  },
}
