import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { selectBackend } from '@tunesmith/backend'
import { readJsonFile } from '@tunesmith/hub'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CausalLM, type GenerateOptions, generate, loadModel, savePretrained } from '../index'
import { readGenerationDefaults } from './generation-config'
import { samplingDistribution } from './sampler'

interface Golden {
  keys: string[]
  tokens: number[]
  eosTokenIds: number[]
  probabilities: {
    settings: Record<string, unknown>
    promptLength: number
    maxLength: number
    logits: number[]
    probabilities: number[]
  }[]
  prompt: number[]
  answers: { settings: Record<string, unknown>; tokens: number[] }[]
}

const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url))
const golden = await readJsonFile<Golden>(join(fixtures, 'generation.golden.json'))

let folder: string
let model: CausalLM
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-generation-config-'))
  for (const name of ['config.json', 'model.safetensors'])
    await copyFile(join(fixtures, 'llama', name), join(folder, name))
  model = await loadModel(folder, { dtype: 'float32' })
})
afterAll(async () => {
  model.dispose()
  await rm(folder, { recursive: true })
})

/** Settings as the file of the model; gives what was said. */
async function settle(settings: object): Promise<string[]> {
  const lines: string[] = []
  await writeFile(join(folder, 'generation_config.json'), JSON.stringify(settings))
  model.generation = await readGenerationDefaults(folder, model.config, (line) => lines.push(line))
  return lines
}

const shown = (settings: object) => JSON.stringify(settings).slice(0, 90)

describe("transformers' probabilities of the next token", () => {
  for (const [i, one] of golden.probabilities.entries())
    it(`${i}: ${shown(one.settings)}`, async () => {
      await settle(one.settings)
      const { raw: _, bosTokenId: __, eosTokenIds: ___, padTokenId: ____, ...options } = model.generation
      const { promptLength, maxLength } = one
      const limits = { promptLength, maxLength, eosTokenIds: golden.eosTokenIds }
      const probabilities = new Array<number>(one.logits.length).fill(0)
      for (const { token, probability } of samplingDistribution(one.logits, golden.tokens, options, limits))
        probabilities[token] = probability
      for (const [token, expected] of one.probabilities.entries())
        expect(Math.abs(probabilities[token]! - expected), `token ${token}`).toBeLessThan(2e-6)
    })
})

describe("transformers' answers", () => {
  for (const { settings, tokens } of golden.answers)
    it(shown(settings), async () => {
      await settle({ eos_token_id: [], ...settings })
      const [answer] = await generate(model, [golden.prompt])
      const ends = [settings.eos_token_id ?? []].flat()
      expect(answer).toEqual(ends.includes(tokens.at(-1)!) ? tokens.slice(0, -1) : tokens)
    })
})

describe('a generation_config.json', () => {
  it('has no key that transformers knows and nobody has thought of', async () => {
    for (const key of golden.keys) {
      await writeFile(join(folder, 'generation_config.json'), JSON.stringify({ [key]: 7 }))
      const lines: string[] = []
      // A key of another type is an error, which is no silence either.
      await readGenerationDefaults(folder, model.config, (line) => lines.push(line)).catch((error) => {
        expect(error.message).toContain(`"${key}"`)
      })
      expect(lines, key).toEqual([])
    }
    expect(golden.keys.length).toBeGreaterThan(60)
  })

  it('with a key that nobody knows says so once', async () => {
    expect(await settle({ made_up: 4, other: 'x', transformers_version: '5', use_cache: true })).toEqual([
      `${join(folder, 'generation_config.json')}: the keys "made_up", "other" are not known and were not used`,
    ])
  })

  it('that asks for another way of searching is refused by name, until it is told to do without', async () => {
    await settle({ num_beams: 4, length_penalty: 2, penalty_alpha: 0.6 })
    const run = (options: GenerateOptions = {}) => generate(model, [golden.prompt], { maxNewTokens: 4, ...options })
    await expect(run()).rejects.toThrow(/"num_beams": beam search; "penalty_alpha": contrastive/)
    await expect(run()).rejects.toThrow('Pass ignoreSettings: ["num_beams","penalty_alpha"]')
    expect(await run({ ignoreSettings: ['num_beams', 'penalty_alpha'] })).toEqual([expect.any(Array)])
    await settle({
      num_beams: 1,
      num_beam_groups: 1,
      guidance_scale: 1,
      num_return_sequences: 1,
      watermarking_config: null,
    })
    expect(await run()).toHaveLength(1)
    await settle({ num_return_sequences: 3, do_sample: true })
    await expect(run()).rejects.toThrow('num_return_sequences')
    expect(await run({ numReturnSequences: 2 })).toHaveLength(2)
    await settle({ stop_strings: ['x'] })
    await expect(run()).rejects.toThrow('generateText knows stop strings')
    expect(await run({ stopSequences: [] })).toHaveLength(1)
  })

  it('gives way to the options', async () => {
    const free = { stopTokenIds: [] }
    await settle({})
    const [plain] = await generate(model, [golden.prompt], { ...free, maxNewTokens: 20 })
    await settle({ max_length: 12, suppress_tokens: [...plain!], no_repeat_ngram_size: 1, temperature: 0 })
    const [limited] = await generate(model, [golden.prompt], free)
    expect(limited).toHaveLength(6)
    expect(limited!.some((token) => plain!.includes(token))).toBe(false)
    const options = { ...free, maxNewTokens: 20, suppressTokens: [], noRepeatNgramSize: 0 }
    expect(await generate(model, [golden.prompt], options)).toEqual([plain])
    const ignored = { ...free, maxLength: 26, ignoreSettings: ['suppress_tokens', 'no_repeat_ngram_size'] }
    expect(await generate(model, [golden.prompt], ignored)).toEqual([plain])
    await settle({ max_length: 4 })
    await expect(generate(model, [golden.prompt])).rejects.toThrow('Prompt 0 has 6 tokens; it must have 1 to 3')
  })

  it('bans a token by a bias of -Infinity, as Python writes it', async () => {
    const free = { stopTokenIds: [], maxNewTokens: 8 }
    await settle({})
    const [[first]] = (await generate(model, [golden.prompt], free)) as [number[]]
    const text = `{"sequence_bias": [[[${first}], -Infinity]]}`
    await writeFile(join(folder, 'generation_config.json'), text)
    model.generation = await readGenerationDefaults(folder, model.config)
    expect((await generate(model, [golden.prompt], free))[0]).not.toContain(first)
    const again = join(folder, 'again')
    await savePretrained(model, again)
    expect((await readGenerationDefaults(again, model.config)).sequenceBias).toEqual([[[first], -Infinity]])
    await writeFile(join(folder, 'generation_config.json'), '{"sequence_bias": [[[1], Infinity]]}')
    await expect(readGenerationDefaults(folder, model.config)).rejects.toThrow('expected a number, or -Infinity')
  })

  it('that biases a token nobody has is an error', async () => {
    await settle({ sequence_bias: [[[5, 4000], 1]] })
    await expect(generate(model, [golden.prompt])).rejects.toThrow('Tokens 4000 are outside of the vocabulary of 96')
  })

  it('ends answers when its time is over', async () => {
    await settle({ max_time: 1e-6, max_new_tokens: 50 })
    expect((await generate(model, [golden.prompt], { stopTokenIds: [] }))[0]).toHaveLength(1)
  })
})
