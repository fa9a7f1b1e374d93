import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { createModel, loadModel, packSequences, saveModel } from '@tunesmith/models'
import { pythonVenv } from '@tunesmith/tooling/python'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { getPeftModel, type LoraConfigOptions, loadPeftModel, savePeftModel } from './index'

const sizes = {
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  initializer_range: 0.2,
}

const cases: Record<string, { config: Record<string, unknown>; lora: LoraConfigOptions }> = {
  llama: {
    config: { ...sizes, model_type: 'llama', architectures: ['LlamaForCausalLM'] },
    lora: { r: 4, loraAlpha: 8 },
  },
  'mistral, all linears, rank-stabilised': {
    config: { ...sizes, model_type: 'mistral', architectures: ['MistralForCausalLM'], sliding_window: 4 },
    lora: { r: 3, loraAlpha: 5, targetModules: 'all-linear', useRslora: true },
  },
  'qwen2, patterns, one layer': {
    config: { ...sizes, model_type: 'qwen2', architectures: ['Qwen2ForCausalLM'], tie_word_embeddings: true },
    lora: {
      r: 2,
      targetModules: ['q_proj', 'k_proj', 'down_proj'],
      layersToTransform: [1],
      rankPattern: { k_proj: 5 },
      alphaPattern: { 'mlp.down_proj': 7 },
    },
  },
}

const inputIds = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9]
const snake = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

const { python, reason } = await pythonVenv('peft', ['torch', 'transformers', 'peft', 'safetensors'])
if (!python) console.warn(`skipped: Python's PEFT cannot be had here: ${reason}`)

let folder: string
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-peft-'))
})
afterAll(() => rm(folder, { recursive: true }))

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length)
  let largest = 0
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!))
  return largest
}

it.runIf(python)(
  'Python PEFT loads what we save, and we load what it saves, with the same logits',
  { timeout: 300_000 },
  async () => {
    const ours = new Map<string, Float32Array>()
    const load = (name: string) => loadModel(join(folder, name, 'base'))
    for (const [name, { config, lora }] of Object.entries(cases)) {
      const fresh = createModel(config, { seed: 5 })
      await saveModel(fresh, join(folder, name, 'base'))
      fresh.dispose()
      const model = await load(name)
      const peft = getPeftModel(model, lora, { seed: 1 })
      for (const variable of peft.parameters().values())
        tf.tidy(() => variable.assign(tf.randomNormal(variable.shape, 0, 0.2, 'float32', 17)))
      await savePeftModel(peft, join(folder, name, 'ours'))
      ours.set(
        name,
        tf.tidy(() => model.logits(model.forward(packSequences([inputIds]))).dataSync() as Float32Array),
      )
      const snaked = Object.fromEntries(Object.entries(lora).map(([key, value]) => [snake(key), value]))
      await mkdir(join(folder, name), { recursive: true })
      await writeFile(join(folder, name, 'input.json'), JSON.stringify({ input_ids: inputIds, lora: snaked }))
      model.dispose()
    }

    const script = fileURLToPath(new URL('../scripts/peft-round-trip.py', import.meta.url))
    execFileSync(python!, [script, folder], { stdio: ['ignore', 'inherit', 'inherit'] })

    for (const name of Object.keys(cases)) {
      const output = JSON.parse(await readFile(join(folder, name, 'output.json'), 'utf8'))
      expect(output.problems, name).toEqual([])
      expect(largestDifference(ours.get(name)!, output.ours), `${name}: ours in Python`).toBeLessThan(1e-4)
      const model = await load(name)
      await loadPeftModel(model, join(folder, name, 'theirs'))
      const logits = tf.tidy(() => model.logits(model.forward(packSequences([inputIds]))).dataSync())
      expect(largestDifference(logits, output.theirs), `${name}: theirs here`).toBeLessThan(1e-4)
      model.dispose()
    }
  },
)
