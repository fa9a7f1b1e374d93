import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { adamWStep, selectBackend, valueAndGrads } from '@tunesmith/backend'
import { type CausalLM, createModel, generate, loadModel, packSequences, savePretrained } from '@tunesmith/models'
import { getPeftModel, loadPeftModel, savePeftModel } from '@tunesmith/peft-lora'
import { Tokenizer } from '@tunesmith/tokenization'
import { openInLlamaCpp } from '@tunesmith/tooling/llama-cpp'
import { pythonVenv } from '@tunesmith/tooling/python'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { exportCommand } from './export'
import { inspectCommand } from './inspect'

const tokenizers = fileURLToPath(new URL('../../../models/src/fixtures/tokenizers', import.meta.url))
let folder: string
const at = (...names: string[]) => join(folder, ...names)
const run = (...args: string[]) => exportCommand().parseAsync(args, { from: 'user' })

const SENTENCES = [
  'How many apples are three and one? There are four apples.',
  'What heals a cough? Tea with honey heals.',
]
const STEPS = 25

/** A few steps of LoRA on two sentences, so that the adapter is one that was trained. */
async function fineTune(): Promise<void> {
  const base = createModel(
    {
      model_type: 'llama',
      architectures: ['LlamaForCausalLM'],
      vocab_size: 334,
      hidden_size: 64,
      intermediate_size: 96,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      max_position_embeddings: 128,
      rms_norm_eps: 1e-5,
      initializer_range: 0.1,
      eos_token_id: 2,
    },
    { seed: 9 },
  )
  await savePretrained(base, at('base'), { tokenizerFrom: join(tokenizers, 'byte-level') })
  base.dispose()
  const tokenizer = await Tokenizer.fromPretrained(at('base'))
  const model = await loadModel(at('base'))
  const peft = getPeftModel(model, { r: 8, loraAlpha: 16, targetModules: 'all-linear' }, { seed: 1 })
  const sequences = SENTENCES.map((text) => [...tokenizer.encode(text).ids])
  const input = packSequences(sequences)
  const labels = sequences.flatMap((ids) => [...ids.slice(1), -100])
  const variables = [...peft.parameters().values()]
  const moments = variables.map((variable) => [0, 0].map(() => tf.variable(tf.zerosLike(variable), false)))
  const losses: number[] = []
  for (let step = 1; step <= STEPS; step++) {
    const { value, grads } = valueAndGrads(() => tf.mul(model.loss(input, labels).loss, 1 / labels.length), variables)
    losses.push(value.dataSync()[0]!)
    const options = { lr: 1e-2, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, step, gradScale: 1 }
    for (const [i, variable] of variables.entries())
      adamWStep(variable, grads[i]!, moments[i]![0]!, moments[i]![1]!, options)
    tf.dispose([value, ...grads])
  }
  expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2)
  await savePeftModel(peft, at('adapter'))
  model.dispose()
}

const COUNT = 48
let prompts: number[][]
const greedy = (model: CausalLM) => generate(model, prompts, { maxNewTokens: COUNT, stopTokenIds: [], doSample: false })

beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-export-'))
  await fineTune()
  const tokenizer = await Tokenizer.fromPretrained(at('base'))
  prompts = ['The gardener waters', 'A young'].map((text) => [...tokenizer.encode(text).ids])
})
afterAll(() => rm(folder, { recursive: true }))

describe('a fine-tuned model', () => {
  let expected: number[][]

  it('gives the same greedy tokens with its adapter, merged, and merged and loaded again', async () => {
    const model = await loadModel(at('base'))
    const untrained = await greedy(model)
    const peft = await loadPeftModel(model, at('adapter'))
    expected = await greedy(model)
    expect(expected).not.toEqual(untrained)
    // A near tie would make the tokens a matter of rounding.
    const gap = tf.tidy(() => {
      const hidden = model.forward(packSequences(expected.map((tokens, i) => [...prompts[i]!, ...tokens])))
      const pairs = tf.topk(model.logits(hidden), 2).values.dataSync()
      let smallest = Number.POSITIVE_INFINITY
      let row = 0
      for (const [i, tokens] of expected.entries()) {
        const length = prompts[i]!.length + tokens.length
        for (let t = prompts[i]!.length - 1; t < length - 1; t++)
          smallest = Math.min(smallest, pairs[2 * (row + t)]! - pairs[2 * (row + t) + 1]!)
        row += length
      }
      return smallest
    })
    expect(gap).toBeGreaterThan(1e-3)
    peft.mergeAndUnload()
    expect(await greedy(model)).toEqual(expected)
    model.dispose()

    await run(
      at('base'),
      '--adapter',
      at('adapter'),
      '--to',
      'safetensors',
      '--out',
      at('merged'),
      '--max-shard-size',
      '400KB',
    )
    expect((await readdir(at('merged'))).filter((name) => name.endsWith('.safetensors')).length).toBeGreaterThan(1)
    const merged = await loadModel(at('merged'))
    expect(await greedy(merged)).toEqual(expected)
    merged.dispose()
  })

  it('and as GGUF in llama.cpp', async () => {
    await writeFile(
      at('base', 'README.md'),
      '---\nlicense: mit\nbase_model: someone/tiny-base\ntags: [garden, 7]\n---\n# Mine\n',
    )
    await run(at('adapter'), '--type', 'f32', '--name', 'garden', '--out', at('gguf'))
    expect(await readFile(at('gguf', 'Modelfile'), 'utf8')).toMatch(/^FROM \.\/garden\.f32\.gguf\n/)
    const theirs = await openInLlamaCpp(at('gguf', 'garden.f32.gguf'))
    for (const [i, prompt] of prompts.entries()) expect(await theirs.greedy(prompt, COUNT)).toEqual(expected[i])
    const tokenizer = await Tokenizer.fromPretrained(at('base'))
    for (const text of SENTENCES)
      expect(theirs.tokenize(text)).toEqual([...tokenizer.encode(text, { addSpecialTokens: false }).ids])
    await theirs.close()
  })

  it('inspect tells what is in the file, and what is wrong with one that was cut', async () => {
    const said: string[] = []
    const log = vi.spyOn(console, 'log').mockImplementation((text: string) => void said.push(text))
    await inspectCommand().parseAsync([at('gguf', 'garden.f32.gguf')], { from: 'user' })
    log.mockRestore()
    const text = said.join('\n')
    expect(text).toMatch(/GGUF version 3, .* tensors, .* weights, 3\d\.\d+ bits a weight/)
    expect(text).toMatch(/general\.name +"garden"/)
    expect(text).toMatch(/general\.license +"mit"/)
    expect(text).toMatch(/general\.base_model\.0\.name +"Tiny Base"/)
    expect(text).toMatch(/general\.tags +1 elements: "garden"/)
    expect(text).toMatch(/tokenizer\.ggml\.tokens +\d+ elements: "/)
    expect(text).toMatch(/blk\.0\.attn_q\.weight +f32 +\[\d+, \d+\] +[\d.]+ kB/)
    expect(text).toMatch(/By type\n {2}f32 +\d+ tensors/)
    const bytes = await readFile(at('gguf', 'garden.f32.gguf'))
    await writeFile(at('cut.gguf'), bytes.subarray(0, bytes.length - 100))
    await expect(inspectCommand().parseAsync([at('cut.gguf')], { from: 'user' })).rejects.toThrow(/ends too early/)
  })

  it('and as an adapter of its own on the base in llama.cpp', async () => {
    await run(at('base'), '--type', 'f32', '--name', 'base', '--out', at('gguf-base'))
    await run(at('adapter'), '--to', 'gguf-lora', '--out', at('gguf-lora'))
    expect((await readdir(at('gguf-lora'))).sort()).toEqual(['Modelfile', 'adapter.lora.gguf'])
    expect(await readFile(at('gguf-lora', 'Modelfile'), 'utf8')).toMatch(
      /^FROM \.\/base\.f16\.gguf\nADAPTER \.\/adapter\.lora\.gguf\n/,
    )
    const theirs = await openInLlamaCpp(at('gguf-base', 'base.f32.gguf'), {
      lora: at('gguf-lora', 'adapter.lora.gguf'),
    })
    for (const [i, prompt] of prompts.entries()) expect(await theirs.greedy(prompt, COUNT)).toEqual(expected[i])
    await theirs.close()
  })

  // The first time pip may have to fetch the packages.
  it('and merged in Python', { timeout: 900_000 }, async (context) => {
    const { python, reason } = await pythonVenv('peft', ['torch', 'transformers', 'peft', 'safetensors'])
    if (!python) context.skip(`transformers for Python is not available: ${reason}`)
    const script = `
import json, sys, torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
model.generation_config.eos_token_id = None
prompts, count = json.loads(sys.argv[2]), int(sys.argv[3])
out = [model.generate(torch.tensor([p]), max_new_tokens=count, do_sample=False, pad_token_id=0)[0, len(p):].tolist() for p in prompts]
print(json.dumps(out))`
    const output = execFileSync(python!, ['-c', script, at('merged'), JSON.stringify(prompts), String(COUNT)], {
      stdio: ['ignore', 'pipe', 'ignore'],
      encoding: 'utf8',
    })
    expect(JSON.parse(output.trim().split('\n').at(-1)!)).toEqual(expected)
  })
})

describe('refusals', () => {
  it('a tokenizer that llama.cpp cannot have, unless a name is given for it', async () => {
    const medic = fileURLToPath(new URL('../../../../examples/pretrain-tiny-medic/model', import.meta.url))
    await expect(run(medic, '--out', at('medic'))).rejects.toThrow(/cuts text into words/)
    await run(medic, '--out', at('medic'), '--name', 'medic', '--pre-tokenizer', 'gpt-2', '--type', 'q8_0')
    expect((await readdir(at('medic'))).sort()).toEqual(['Modelfile', 'medic.q8_0.gguf'])
  })

  it('safetensors in a GGUF type, an adapter file of a whole model or in another type, and an unknown type', async () => {
    await expect(run(at('base'), '--to', 'gguf-lora', '--out', at('x'))).rejects.toThrow(/This is a whole model/)
    await expect(
      run(at('base'), '--adapter', at('adapter'), '--to', 'gguf-lora', '--type', 'f16', '--out', at('x')),
    ).rejects.toThrow(/written in float32/)
    await expect(run(at('base'), '--to', 'safetensors', '--type', 'q8_0', '--out', at('x'))).rejects.toThrow(
      /f32, f16, bf16/,
    )
    const binary = fileURLToPath(new URL('../../bin/tunesmith.mjs', import.meta.url))
    const { status, stderr } = spawnSync(process.execPath, [binary, 'export', 'x', '--out', 'y', '--type', 'q3'], {
      encoding: 'utf8',
    })
    expect(status).not.toBe(0)
    expect(stderr).toContain('q4_0')
  })
})
