import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { loadModel } from '@tunesmith/models'
import { getPeftModel, savePeftModel } from '@tunesmith/peft-lora'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { readFineTuneConfig } from '../run/config'
import { fineTune } from '../run/fine-tune'
import { findModel } from '../run/load'
import { loadConfigRows } from '../run/rows'
import { saveTinyModel } from '../testing/tiny-model'
import { dataCommand } from './data'
import { evalCommand } from './eval'
import { exportCommand } from './export'
import { inspectCommand } from './inspect'
import { quantizeCommand } from './quantize'

let folder: string
const at = (...names: string[]) => join(folder, ...names)
const run = (
  command: { exitOverride(): { parseAsync(args: string[], from: { from: 'user' }): Promise<unknown> } },
  ...args: string[]
) => command.exitOverride().parseAsync(args, { from: 'user' })
const rows = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    JSON.stringify({ prompt: `How many ${i}?`, completion: ` ${i}\u001b[31m` }),
  ).join('\n')

beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-writing-'))
  await saveTinyModel(at('models', 'base'))
  const model = await loadModel(at('models', 'base'))
  await savePeftModel(getPeftModel(model, { r: 2, targetModules: ['q_proj'] }), at('adapter'))
  model.dispose()
  await writeFile(at('train.jsonl'), rows(12))
  await writeFile(
    at('config.json'),
    JSON.stringify({ model: 'models/base', dataset: { train: 'train.jsonl' }, outputDir: 'out' }),
  )
  vi.spyOn(console, 'log').mockImplementation(() => {})
})
afterAll(() => rm(folder, { recursive: true }))

describe('what is read is never written over', () => {
  it('by export and quantize, under any name, even when told to overwrite', async () => {
    await symlink(at('models', 'base'), at('link'))
    const before = await readFile(at('models', 'base', 'model.safetensors'))
    for (const out of [at('models', 'base'), `${at('models', 'base')}/`, at('link'), at('models'), at('adapter')]) {
      const target = ['--out', out, '--overwrite']
      const merge = [at('models', 'base'), '--adapter', at('adapter'), '--to', 'safetensors']
      await expect(run(exportCommand(), ...merge, ...target), out).rejects.toThrow(/what is read/)
      await expect(run(exportCommand(), at('adapter'), ...target), out).rejects.toThrow(/what is read/)
      if (out !== at('adapter'))
        await expect(run(quantizeCommand(), at('models', 'base'), ...target), out).rejects.toThrow(/what is read/)
    }
    expect(await readFile(at('models', 'base', 'model.safetensors'))).toEqual(before)
    await expect(run(inspectCommand(), at('config.json'), '--html', at('train.jsonl'))).rejects.toThrow(/what is read/)
    await expect(run(dataCommand(), 'describe', at('train.jsonl'), '--svg', at('train.jsonl'))).rejects.toThrow(
      /what is read/,
    )
  })

  it('and what else is there only when told', async () => {
    await mkdir(at('full'))
    await writeFile(at('full', 'notes'), '')
    const args = [at('adapter'), '--to', 'safetensors', '--out', at('full')]
    await expect(run(exportCommand(), ...args)).rejects.toThrow(/notes.*--overwrite/)
    await expect(run(quantizeCommand(), at('models', 'base'), '--out', at('full'))).rejects.toThrow(
      /notes.*--overwrite/,
    )
    expect(await readdir(at('full'))).toEqual(['notes'])
    await run(exportCommand(), ...args, '--overwrite')
    expect(await readdir(at('full'))).toContain('model.safetensors')
    expect(await readdir(at('full'))).not.toContain('notes')
    await mkdir(at('eval'))
    await writeFile(at('eval', 'report.json'), '{}')
    await expect(
      run(evalCommand(), at('models', 'base'), '--data', at('train.jsonl'), '--out', at('eval')),
    ).rejects.toThrow(/report\.json.*--overwrite/)
  })

  it('by train', async () => {
    const config = await readFineTuneConfig(at('config.json'))
    const refused = (changes: object) => fineTune({ ...config, ...changes }, () => {})
    await expect(refused({ outputDir: at('models', 'base') })).rejects.toThrow(/what is read/)
    await expect(refused({ outputDir: folder, overwrite: true })).rejects.toThrow(/around what is read/)
    await expect(refused({ outputDir: at('full') })).rejects.toThrow(/--resume.*--overwrite/)
    await writeFile(at('a-file'), '')
    await expect(refused({ outputDir: at('a-file', 'below') })).rejects.toMatchObject({ where: at('a-file', 'below') })
  })
})

describe('models and adapters', () => {
  it('two adapters are refused, and --base for a whole model', async () => {
    await expect(findModel(at('adapter'), { adapter: at('adapter') })).rejects.toThrow(/an adapter itself/)
    await expect(findModel(at('models', 'base'), { base: 'x' })).rejects.toThrow(/--base is for an adapter/)
  })

  it('a base model that has moved: the adapter and --base are named', async () => {
    await cp(at('adapter'), at('moved'), { recursive: true })
    const path = at('moved', 'adapter_config.json')
    const moved = { ...JSON.parse(await readFile(path, 'utf8')), base_model_name_or_path: '/gone/base' }
    await writeFile(path, JSON.stringify(moved))
    await expect(findModel(at('moved'))).rejects.toMatchObject({
      where: expect.stringMatching(/moved.*\/gone\/base/),
      remedy: expect.stringContaining('--base'),
    })
    expect(await findModel(at('moved'), { base: at('models', 'base') })).toMatchObject({ adapter: at('moved') })
  })
})

describe('options', () => {
  it('a metric that is not there, before anything is loaded', async () => {
    await expect(run(evalCommand(), 'none', '--metrics', 'rogue')).rejects.toThrow(/no metric "rogue".*"rouge"/)
  })

  it('an answer as long as the context', async () => {
    await expect(
      run(
        evalCommand(),
        at('models', 'base'),
        '--data',
        at('train.jsonl'),
        '--max-new-tokens',
        '256',
        '--out',
        at('e'),
      ),
    ).rejects.toThrow(/256 tokens leaves no room.*--max-new-tokens/)
  })

  it('a pre-tokenizer that llama.cpp does not have', async () => {
    await expect(
      run(exportCommand(), at('models', 'base'), '--pre-tokenizer', 'bogus', '--out', at('gguf')),
    ).rejects.toThrow(/no pre-tokenizer "bogus"/)
  })
})

describe('the config', () => {
  const read = async (config: object) => {
    const all = { model: 'models/base', dataset: { train: 'train.jsonl' }, outputDir: 'out', ...config }
    await writeFile(at('other.json'), JSON.stringify(all))
    return readFineTuneConfig(at('other.json'))
  }

  it('needs no training section, and knows Hub datasets from files', async () => {
    const { training, dataset } = await read({
      dataset: { train: 'owner/rows', test: { path: 'hf://datasets/o/n', split: 'a' } },
    })
    expect(training.learningRate).toBe(2e-5)
    expect(dataset).toMatchObject({ train: 'owner/rows', test: { path: 'hf://datasets/o/n', split: 'a' } })
    expect((await read({ dataset: { train: 'owner/rows.jsonl' } })).dataset.train).toBe(at('owner', 'rows.jsonl'))
  })

  it('holds rows out of one file', async () => {
    const config = await read({ dataset: { train: 'train.jsonl', testSize: 3, validationSize: 0.25 } })
    const { train, validation, test } = await loadConfigRows(config)
    const all = [train, validation!, test!].map((part) => part.toArray().map(({ prompt }) => prompt))
    expect(all.map(({ length }) => length)).toEqual([7, 2, 3])
    expect(new Set(all.flat()).size).toBe(12)
    expect((await loadConfigRows(config)).test!.toArray()).toEqual(test!.toArray())
    await expect(read({ dataset: { train: 'train.jsonl', test: 'train.jsonl', testSize: 3 } })).rejects.toThrow(/Both/)
    await expect(loadConfigRows(await read({ dataset: { train: 'train.jsonl', testSize: 12 } }))).rejects.toThrow(
      /12 of 12 rows/,
    )
  })

  it('gives a base model a built-in chat template', async () => {
    expect((await read({ chatTemplate: 'chatml' })).chatTemplate).toBe('chatml')
    await expect(read({ chatTemplate: 'chatlm' })).rejects.toThrow(/chatTemplate/)
  })

  it('whose aliases multiply is refused', async () => {
    const lines = Array.from(
      { length: 12 },
      (_, i) => `a${i}: &a${i} [${i ? new Array(9).fill(`*a${i - 1}`).join() : 'x'}]`,
    )
    await writeFile(at('bomb.yaml'), lines.join('\n'))
    await expect(readFineTuneConfig(at('bomb.yaml'))).rejects.toMatchObject({
      code: 'invalid_file',
      where: at('bomb.yaml'),
    })
  })
})

it('inspect says that conversations are trained whole, and shows control characters', async () => {
  const messages = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Ho \u001b[2J' },
  ]
  await writeFile(at('chats.jsonl'), JSON.stringify({ messages }))
  const config = { model: 'models/base', dataset: { train: 'chats.jsonl' }, outputDir: 'out', chatTemplate: 'chatml' }
  await writeFile(at('chats.json'), JSON.stringify(config))
  const log = vi.mocked(console.log)
  log.mockClear()
  await run(inspectCommand(), at('chats.json'))
  const said = log.mock.calls.join('\n')
  expect(said).toContain('assistantOnlyLoss: true')
  expect(said).toContain('\\x1b[2J')
  expect(said).not.toContain('\u001b')
})
