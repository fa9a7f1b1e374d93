import { execFileSync } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { createModel, loadModel, resizeTokenEmbeddings, savePretrained } from '@tunesmith/models'
import { pythonVenv } from '@tunesmith/tooling/python'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { configFromJson } from './config-json'
import './fixtures/loha'
import { loadPeftModel, PeftModel, savePeftModel } from './index'
import { largestDifference, logitsOf, perturb } from './testing/measure'

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
const llama = { ...sizes, model_type: 'llama', architectures: ['LlamaForCausalLM'] }
const mistral = { ...sizes, model_type: 'mistral', architectures: ['MistralForCausalLM'], sliding_window: 4 }
const qwen2 = { ...sizes, model_type: 'qwen2', architectures: ['Qwen2ForCausalLM'], tie_word_embeddings: true }
const gemma2 = {
  ...sizes,
  model_type: 'gemma2',
  architectures: ['Gemma2ForCausalLM'],
  head_dim: 8,
  query_pre_attn_scalar: 8,
}
const LORA = { peft_type: 'LORA' }
const PROMPT = { peft_type: 'PROMPT_TUNING' }
const PREFIX = { peft_type: 'PREFIX_TUNING' }
const ADALORA = { peft_type: 'ADALORA', total_step: 12 }

interface Case {
  /** A fresh model of this configuration. */
  model?: Record<string, unknown>
  /** Or one of the tiny models of transformers. */
  base?: string
  /** Rows of the embeddings, where they are to be more than the model's. */
  resize?: number
  /** As in adapter_config.json. */
  config: { peft_type: string; [key: string]: unknown }
  /** PEFT's merge is not what its own adapter gives, and ours is compared with the latter. */
  mergeDiffers?: boolean
}

const cases: Record<string, Case> = {
  lora: { model: llama, config: { ...LORA, r: 4, lora_alpha: 8 } },
  'lora, all linears, rank-stabilised': {
    model: mistral,
    config: { ...LORA, r: 3, lora_alpha: 5, target_modules: 'all-linear', use_rslora: true },
  },
  'lora, patterns, one layer': {
    model: qwen2,
    config: {
      ...LORA,
      r: 2,
      target_modules: ['q_proj', 'k_proj', 'down_proj'],
      layers_to_transform: [1],
      rank_pattern: { k_proj: 5 },
      alpha_pattern: { 'mlp.down_proj': 7 },
    },
  },
  'lora, biases and modules': {
    model: { ...qwen2, tie_word_embeddings: false },
    config: { ...LORA, r: 2, bias: 'all', modules_to_save: ['lm_head', 'embed_tokens', 'model.norm'] },
  },
  'lora, biases of its own': { model: qwen2, config: { ...LORA, r: 2, bias: 'lora_only' } },
  'lora, embeddings and head': {
    model: llama,
    config: { ...LORA, r: 2, target_modules: ['embed_tokens', 'lm_head', 'v_proj'] },
  },
  'lora, tokens': { model: llama, config: { ...LORA, r: 2, trainable_token_indices: [3, 9, 40] } },
  'lora, tokens, tied': { model: qwen2, config: { ...LORA, r: 2, trainable_token_indices: [3, 9, 40] } },
  dora: { model: qwen2, config: { ...LORA, r: 4, use_dora: true, target_modules: 'all-linear' } },
  'dora, embeddings': { model: llama, config: { ...LORA, r: 4, use_dora: true, target_modules: ['embed_tokens'] } },
  'loha, of the guide': {
    model: llama,
    config: { peft_type: 'LOHA', r: 4, alpha: 6, target_modules: ['q_proj', 'up_proj'] },
  },
  pissa: { model: llama, config: { ...LORA, r: 4, init_lora_weights: 'pissa' } },
  olora: { model: llama, config: { ...LORA, r: 4, init_lora_weights: 'olora', target_modules: ['up_proj', 'o_proj'] } },
  ia3: { model: llama, config: { peft_type: 'IA3' } },
  'ia3, biases': {
    model: qwen2,
    config: { peft_type: 'IA3', target_modules: ['q_proj', 'v_proj', 'gate_proj'], feedforward_modules: ['gate_proj'] },
  },
  'prompt tuning': { model: llama, config: { ...PROMPT, num_virtual_tokens: 4, modules_to_save: ['lm_head'] } },
  'prompt tuning, scaled embeddings': { model: gemma2, config: { ...PROMPT, num_virtual_tokens: 3 } },
  'prefix tuning': { model: llama, config: { ...PREFIX, num_virtual_tokens: 4 } },
  'prefix tuning, projection': {
    model: { ...mistral, sliding_window: 32 },
    config: { ...PREFIX, num_virtual_tokens: 3, prefix_projection: true, encoder_hidden_size: 24 },
  },
  'prefix tuning, soft caps': { model: gemma2, config: { ...PREFIX, num_virtual_tokens: 3 } },
  adalora: { model: llama, config: { ...ADALORA, init_r: 6, target_r: 3, tinit: 2, tfinal: 2, lora_alpha: 24 } },
  'adalora, biases': {
    model: qwen2,
    config: { ...ADALORA, init_r: 3, deltaT: 2, target_modules: ['k_proj', 'up_proj'], bias: 'lora_only' },
  },
  vera: { model: llama, config: { peft_type: 'VERA', r: 12 } },
  'vera, modules of different sizes, biases': {
    model: qwen2,
    config: { peft_type: 'VERA', r: 5, target_modules: ['v_proj', 'down_proj'], bias: 'vera_only', d_initial: 0.5 },
  },
}

/** LoRA on each family beside those above; where PEFT knows no default, on these layers. */
const QUERIES_AND_VALUES = { ...LORA, r: 3, lora_alpha: 5, target_modules: ['q_proj', 'v_proj'] }
const ALL = { ...LORA, r: 3, lora_alpha: 5, target_modules: 'all-linear' }
const { num_key_value_heads: _, ...alike } = sizes
Object.assign(cases, {
  'lora, more tokens': { model: llama, resize: 70, config: { ...LORA, r: 3 } },
  'lora, more tokens, tied': { model: qwen2, resize: 70, config: { ...LORA, r: 3 } },
  'lora on qwen3': { model: { ...sizes, model_type: 'qwen3', head_dim: 8 }, config: ALL },
  'lora on gemma': { model: { ...sizes, model_type: 'gemma', head_dim: 8 }, config: { ...LORA, r: 3 } },
  'lora on gemma3_text': {
    model: { ...sizes, model_type: 'gemma3_text', head_dim: 8, sliding_window: 4, sliding_window_pattern: 2 },
    config: { ...LORA, r: 3 },
  },
  'lora on phi3': { model: { ...sizes, model_type: 'phi3', pad_token_id: 0 }, config: ALL },
  'lora on smollm3': { model: { ...sizes, model_type: 'smollm3', pad_token_id: 0 }, config: QUERIES_AND_VALUES },
  'lora on olmo2': { model: { ...sizes, model_type: 'olmo2' }, config: QUERIES_AND_VALUES },
  'lora on olmo3': { model: { ...sizes, model_type: 'olmo3', sliding_window: 4 }, config: ALL },
  'lora on granite': {
    model: { ...sizes, model_type: 'granite', attention_multiplier: 0.3, residual_multiplier: 0.5, logits_scaling: 2 },
    config: QUERIES_AND_VALUES,
  },
  'lora on ministral3': {
    model: { ...sizes, model_type: 'ministral3', head_dim: 8, pad_token_id: 0 },
    config: QUERIES_AND_VALUES,
  },
  'lora on cohere2': { model: { ...sizes, model_type: 'cohere2', sliding_window: 4 }, config: ALL },
  'lora on starcoder2': { model: { ...sizes, model_type: 'starcoder2' }, config: { ...ALL, bias: 'lora_only' } },
  'lora on gpt2': {
    model: {
      model_type: 'gpt2',
      vocab_size: 64,
      n_embd: 32,
      n_inner: 48,
      n_layer: 2,
      n_head: 4,
      initializer_range: 0.2,
    },
    config: { ...LORA, r: 3 },
  },
  'lora on gpt2, all linears': {
    model: {
      model_type: 'gpt2',
      vocab_size: 64,
      n_embd: 32,
      n_inner: 48,
      n_layer: 2,
      n_head: 4,
      initializer_range: 0.2,
    },
    config: { ...ALL, use_dora: true },
  },
  'ia3 on gpt2': {
    model: {
      model_type: 'gpt2',
      vocab_size: 64,
      n_embd: 32,
      n_inner: 48,
      n_layer: 2,
      n_head: 4,
      initializer_range: 0.2,
    },
    config: { peft_type: 'IA3' },
  },
  'lora on gpt_neox': { model: { ...alike, model_type: 'gpt_neox' }, config: { ...LORA, r: 3 } },
  'ia3 on gpt_neox': { model: { ...alike, model_type: 'gpt_neox' }, config: { peft_type: 'IA3' } },
  'lora on qwen3_moe': {
    model: {
      ...sizes,
      model_type: 'qwen3_moe',
      head_dim: 8,
      num_experts: 4,
      num_experts_per_tok: 2,
      moe_intermediate_size: 16,
    },
    // For PEFT, all-linear means experts and routers too; here it means linear layers.
    config: QUERIES_AND_VALUES,
  },
  'lora on mixtral': {
    model: { ...sizes, model_type: 'mixtral', num_local_experts: 4, num_experts_per_tok: 2, sliding_window: 4 },
    config: QUERIES_AND_VALUES,
  },
  // The text half of a model of images and text, whose names stand in the adapter's file.
  'lora on gemma3': {
    base: 'gemma3',
    config: { ...LORA, r: 3, target_modules: '.*language_model.*\\.(q_proj|v_proj)' },
  },
  'lora on mistral3': {
    base: 'mistral3',
    config: { ...LORA, r: 3, target_modules: '.*language_model.*\\.(q_proj|v_proj)' },
  },
} satisfies Record<string, Case>)

const inputIds = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9]
const { python, reason } = await pythonVenv('peft', ['torch', 'transformers', 'peft', 'safetensors'])
if (!python) console.warn(`skipped: Python's PEFT cannot be had here: ${reason}`)

/** What is left out of a text half is said; it need not be here. */
const loading = { dtype: 'float32', onWarning: () => {} } as const
const fixtures = fileURLToPath(new URL('../../models/src/fixtures', import.meta.url))
let folder: string
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-peft-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** AdaLoRA as after training: ranks given up, of one module all. */
function giveUpRanks(peft: PeftModel): void {
  const masks = [...peft.trainingState()].flatMap(([key, variable]) => (key.endsWith('rank_mask') ? [variable] : []))
  for (const [module, mask] of masks.entries()) {
    const kept = Array.from({ length: mask.size }, (_, rank) => Number((module + rank) % 2 === 0 && module !== 1))
    tf.tidy(() => mask.assign(tf.tensor(kept, mask.shape)))
  }
  // Every step after the last allocation sets what was given up to zero.
  peft.afterOptimizerStep(Number.MAX_SAFE_INTEGER, 1, new Map())
}

/** Saves a base model and an adapter of ours on it; returns its logits. */
async function makeOurs(name: string, { model: shape, base, resize, config: json }: Case): Promise<Float32Array> {
  if (base) await cp(join(fixtures, base), join(folder, name, 'base'), { recursive: true })
  else {
    const fresh = createModel(shape!, { seed: 5 })
    await savePretrained(fresh, join(folder, name, 'base'))
    fresh.dispose()
  }
  const model = await loadModel(join(folder, name, 'base'), loading)
  if (resize) resizeTokenEmbeddings(model, resize)
  const peft = new PeftModel(model)
  peft.addConfigured('default', configFromJson(json, name).config, { seed: 1, loading: false })
  perturb(peft)
  giveUpRanks(peft)
  await savePeftModel(peft, join(folder, name, 'ours'))
  if (/pissa|olora/.test(String(json.init_lora_weights)))
    await savePeftModel(peft, join(folder, name, 'plain'), { asPlainLora: true })
  await writeFile(join(folder, name, 'input.json'), JSON.stringify({ input_ids: inputIds, config: json, resize }))
  const logits = logitsOf(model, [inputIds])
  peft.unload().dispose()
  return logits
}

it.runIf(python)(
  'Python PEFT loads what we save, and we load what it saves, with the same logits',
  { timeout: 300_000 },
  async () => {
    const ours = new Map<string, Float32Array>()
    for (const [name, made] of Object.entries(cases)) ours.set(name, await makeOurs(name, made))

    const script = fileURLToPath(new URL('../scripts/peft-round-trip.py', import.meta.url))
    execFileSync(python!, [script, folder], { stdio: ['ignore', 'inherit', 'inherit'] })

    for (const [name, { mergeDiffers, resize }] of Object.entries<Case>(cases)) {
      const output = JSON.parse(await readFile(join(folder, name, 'output.json'), 'utf8'))
      expect(output.problems, name).toEqual([])
      expect(largestDifference(ours.get(name)!, output.ours), `${name}: ours in Python`).toBeLessThan(1e-4)
      if (output.plain)
        expect(largestDifference(ours.get(name)!, output.plain), `${name}: as plain LoRA`).toBeLessThan(1e-4)
      const base = await loadModel(join(folder, name, 'base'), loading)
      if (resize) resizeTokenEmbeddings(base, resize)
      const peft = await loadPeftModel(base, join(folder, name, 'theirs'))
      expect(largestDifference(logitsOf(peft.model, [inputIds]), output.theirs), `${name}: theirs`).toBeLessThan(1e-4)
      if (!output.merged) {
        peft.unload().dispose()
        continue
      }
      const merged = peft.mergeAndUnload()
      const expected = mergeDiffers ? output.theirs : output.merged
      expect(largestDifference(logitsOf(merged, [inputIds]), expected), `${name}: merged`).toBeLessThan(1e-4)
      merged.dispose()
    }
  },
)
