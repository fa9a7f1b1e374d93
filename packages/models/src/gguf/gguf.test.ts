import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { selectBackend } from '@tunesmith/backend'
import { Tokenizer } from '@tunesmith/tokenization'
import { pythonVenv } from '@tunesmith/tooling/python'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createModel, exportGguf, parseModelConfig } from '../index'
import { sizeLabel } from './export'
import { exportNotes, layoutOf } from './model'
import { ollamaTemplate } from './modelfile'
import { preTokenizerName } from './pre-tokenizer'
import { tokenizerMetadata } from './tokenizer'
import { u32 } from './values'

const tokenizers = fileURLToPath(new URL('../fixtures/tokenizers', import.meta.url))
const run = promisify(execFile)
let folder: string
let tokenizer: Tokenizer

beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-gguf-'))
  tokenizer = await Tokenizer.fromPretrained(join(tokenizers, 'byte-level'))
})
afterAll(() => rm(folder, { recursive: true }))

const config = {
  model_type: 'llama',
  vocab_size: 340,
  hidden_size: 64,
  intermediate_size: 80,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  max_position_embeddings: 64,
}

describe('exportGguf', () => {
  it('writes a Modelfile with the chat template, the end and the sampling', async () => {
    const model = createModel(config)
    model.generation = { ...model.generation, eosTokenIds: [0, 2], doSample: true, temperature: 0.6, topP: 0.9 }
    const { modelfile, file } = await exportGguf(model, tokenizer, folder, { type: 'q8_0', name: 'My model!' })
    expect(file).toBe(join(folder, 'My-model-.q8_0.gguf'))
    expect(await readFile(modelfile, 'utf8')).toBe(
      [
        'FROM ./My-model-.q8_0.gguf',
        'TEMPLATE """{{ if .System }}<|im_start|>system',
        '{{ .System }}<|im_end|>',
        '{{ end }}<|im_start|>user',
        '{{ .Prompt }}<|im_end|>',
        '<|im_start|>assistant',
        '{{ .Response }}<|im_end|>',
        '"""',
        'PARAMETER stop "<|endoftext|>"',
        'PARAMETER stop "<|im_end|>"',
        'PARAMETER temperature 0.6',
        'PARAMETER top_p 0.9',
        '',
      ].join('\n'),
    )
    model.dispose()
  })

  it('names what the chat template ends a turn with', async () => {
    const model = createModel(config)
    model.generation = { ...model.generation, eosTokenIds: [0] }
    const own = new Tokenizer({ tokenizerJson: tokenizer.json as never, config: { eos_token: '<|endoftext|>' } })
    const ends = async (chat_template?: string) => {
      own.chatTemplate = chat_template
      const { modelfile } = await exportGguf(model, own, folder, { name: 'ends' })
      const stops = (await readFile(modelfile, 'utf8')).match(/(?<=PARAMETER stop ")[^"]+/g)
      return [stops, tokenizerMetadata(own, 340, model.generation).get('tokenizer.ggml.eot_token_id')]
    }
    const turns = (end: string) => `{% for m in messages %}{{ m.role }}: {{ m.content }}${end}{% endfor %}`
    const id = own.tokenToId('<|im_end|>')!
    expect(await ends()).toEqual([['<|endoftext|>'], undefined])
    expect(await ends(turns('<|endoftext|>'))).toEqual([['<|endoftext|>'], undefined])
    expect(await ends(turns('<|im_end|>'))).toEqual([['<|endoftext|>', '<|im_end|>'], u32(id)])
    // No token of the vocabulary, but what the answers end with.
    expect(await ends(turns('<|finish_end|>'))).toEqual([['<|endoftext|>', '<|finish_end|>'], undefined])
    model.dispose()
  })

  it('finds the template by looking at chats, or leaves it to the file where turns look different', async () => {
    const of = (chat_template: string) =>
      ollamaTemplate(
        new Tokenizer({ tokenizerJson: tokenizer.json as never, config: { ...tokenizer.config, chat_template } }),
      )
    const turns = "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
    const end = '{% if add_generation_prompt %}assistant:{% endif %}'
    const turn = 'user: {{ .Prompt }}\nassistant:{{ .Response }}\n'
    expect(of(turns + end)).toEqual({ template: `{{ if .System }}system: {{ .System }}\n{{ end }}${turn}` })
    const usual = "{% if messages[0].role != 'system' %}{{ 'system: Be kind.\n' }}{% endif %}"
    expect(of(usual + turns + end)).toEqual({
      template: `{{ if .System }}system: {{ .System }}\n{{ end }}${turn}`,
      system: 'Be kind.',
    })
    const refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    expect(of(refusing + turns + end)).toEqual({ template: turn })
    expect(of(`Once. ${turns}${end}`)).toBe(undefined)
    expect(of(turns.replace('m.role', 'm.role + loop.index|string') + end)).toBe(undefined)
  })

  it('refuses what llama.cpp does not have, by name, and says what it does differently', async () => {
    const dynamic = createModel({ ...config, rope_parameters: { rope_type: 'dynamic', factor: 2 } })
    await expect(exportGguf(dynamic, tokenizer, folder)).rejects.toThrow(/dynamic/)
    const yarn = { rope_type: 'yarn', factor: 2, truncate: false }
    const unrounded = createModel({ ...config, rope_parameters: yarn })
    await expect(exportGguf(unrounded, tokenizer, folder)).rejects.toThrow(/rounds the bounds of YaRN/)
    const small = createModel({ ...config, vocab_size: 300 })
    await expect(exportGguf(small, tokenizer, folder)).rejects.toThrow(/the model 300 embeddings/)
    const windowed = createModel({ ...config, model_type: 'mistral', sliding_window: 16 })
    expect(exportNotes(windowed, layoutOf(windowed))[0]).toMatch(/last 16/)
    for (const model of [dynamic, unrounded, small, windowed]) model.dispose()
    expect(parseModelConfig({ ...config, model_type: 'gemma2' }).modelType).toBe('gemma2')
  })

  it('names the ways to cut words, and refuses others', () => {
    const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: true }
    const name = (pre_tokenizer: unknown, model = {}, normalizer: unknown = null) =>
      preTokenizerName({ pre_tokenizer, model, normalizer }, 'here')
    expect(name(bytes)).toBe('gpt-2')
    const sequence = (...pretokenizers: unknown[]) => ({ type: 'Sequence', pretokenizers })
    expect(name(sequence({ type: 'Digits', individual_digits: true }, bytes))).toBe('smollm')
    expect(() => name(sequence({ type: 'Digits', individual_digits: false }, bytes))).toThrow(/llama\.cpp/)
    expect(() => name({ ...bytes, add_prefix_space: true })).toThrow(/llama\.cpp/)
    expect(() => name(bytes, {}, { type: 'Lowercase' })).toThrow(/llama\.cpp/)
    const split = { type: 'Split', pattern: { Regex: '\\w+' }, behavior: 'Isolated' }
    expect(() => name(sequence(split, { ...bytes, use_regex: false }))).toThrow(/llama\.cpp/)
  })

  // The first time pip may have to fetch the package.
  it("Python's gguf reads it: names, types, shapes and values", { timeout: 900_000 }, async (context) => {
    const { python, reason } = await pythonVenv('gguf', ['gguf'])
    if (!python) context.skip(`gguf for Python is not available: ${reason}`)
    const model = createModel(config, { seed: 2 })
    model.generation = { ...model.generation, doSample: true, temperature: 0.75, topK: 30, topP: 0.5 }
    const weight = Array.from(model.linears.get('model.layers.0.mlp.up_proj')!.weight.weight.dataSync())
    const counts = [90, 600, 1500, 88_000, 135_000_000, 999_600_000, 1_100_048_384, 8_030_261_248, 70_553_706_496, 2e12]
    for (const [type, tolerance] of [
      ['f32', 0],
      ['bf16', 2 ** -8],
      ['q8_0', 0.01],
      ['q4_0', 0.2],
    ] as const) {
      const { file } = await exportGguf(model, tokenizer, folder, { type, name: 'read' })
      const script = `
import gguf, json, sys
r = gguf.GGUFReader(sys.argv[1])
t = {t.name: t for t in r.tensors}
up = gguf.quants.dequantize(t["blk.0.ffn_up.weight"].data, t["blk.0.ffn_up.weight"].tensor_type)
print(json.dumps(dict(
  tensors={n: [x.tensor_type.name, [int(v) for v in x.shape]] for n, x in t.items()},
  architecture=r.fields["general.architecture"].contents(),
  sampling={k[17:]: f.contents() for k, f in r.fields.items() if k.startswith("general.sampling.")},
  size=r.fields["general.size_label"].contents(), label=gguf.size_label(${model.parameterCount()}, 0, 0, 0),
  labels=[gguf.size_label(n, 0, 0, 0) for n in ${JSON.stringify(counts)}],
  tokens=len(r.fields["tokenizer.ggml.tokens"].contents()),
  template=r.fields["tokenizer.chat_template"].contents(),
  up=up.reshape(-1).tolist(),
)))`
      const { stdout } = await run(python!, ['-c', script, file], { maxBuffer: 1e8 })
      const read = JSON.parse(stdout)
      const stored = type.toUpperCase()
      expect(read.tensors['blk.0.ffn_up.weight']).toEqual([stored, [64, 80]])
      // Rows of 80 are no whole blocks.
      expect(read.tensors['blk.0.ffn_down.weight']).toEqual([stored.startsWith('Q') ? 'F16' : stored, [80, 64]])
      expect(read.tensors['token_embd.weight']).toEqual([stored, [64, 340]])
      // The head keeps more bits, as llama.cpp has it.
      expect(read.tensors['output.weight']).toEqual([type === 'q4_0' ? 'Q8_0' : stored, [64, 340]])
      expect(read.tensors['output_norm.weight']).toEqual(['F32', [64]])
      expect(Object.keys(read.tensors).length).toBe(12)
      expect(read.sampling).toEqual({ temp: 0.75, top_k: 30, top_p: 0.5 })
      expect(read.size).toBe(read.label)
      expect(read.labels).toEqual(counts.map(sizeLabel))
      expect([read.architecture, read.tokens, read.template]).toEqual(['llama', 340, tokenizer.chatTemplate])
      const largest = weight.reduce((max, value) => Math.max(max, Math.abs(value)), 0)
      for (const [i, value] of (read.up as number[]).entries())
        expect(Math.abs(value - weight[i]!)).toBeLessThanOrEqual(tolerance * largest)
    }
    model.dispose()
  })
})
