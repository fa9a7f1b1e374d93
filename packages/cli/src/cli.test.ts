import { spawnSync } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { selectBackend } from '@tunesmith/backend'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { saveTinyModel } from './testing/tiny-model'

const binary = fileURLToPath(new URL('../bin/tunesmith.mjs', import.meta.url))

let folder: string

/** Runs the built command as a user would. */
function tunesmith(args: string[], input = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [binary, ...args], {
    cwd: folder,
    input,
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

const rows = (count: number, make: (i: number) => object) =>
  Array.from({ length: count }, (_, i) => JSON.stringify(make(i))).join('\n')
const row = (i: number) => ({ prompt: `How many apples are ${i} and 1?`, completion: ` There are ${i + 1} apples.` })

const config = (change: (text: string) => string = (text) => text) =>
  change(`
model: model
dataset:
  train: train.jsonl
  test: test.jsonl
lora:
  r: 4
  targetModules: all-linear
training:
  learningRate: 5.0e-3
  maxSteps: 4
  perDeviceTrainBatchSize: 4
  loggingSteps: 2
evaluation:
  maxNewTokens: 8
outputDir: out
`)

beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-cli-'))
  await saveTinyModel(join(folder, 'model'))
  await writeFile(join(folder, 'train.jsonl'), rows(12, row))
  await writeFile(
    join(folder, 'test.jsonl'),
    rows(5, (i) => row(i + 50)),
  )
})
afterAll(() => rm(folder, { recursive: true }))

describe('a whole run', () => {
  it('trains, compares, writes everything, and the adapter can be talked to', { timeout: 120_000 }, async () => {
    await writeFile(join(folder, 'config.yaml'), config())
    const { status, stdout, stderr } = tunesmith(['train', 'config.yaml', '--json'])
    expect(status, stderr).toBe(0)
    const metrics = JSON.parse(stdout.trimEnd().split('\n').at(-1)!)
    expect(metrics).toEqual(JSON.parse(await readFile(join(folder, 'out', 'metrics.json'), 'utf8')))
    expect(metrics.training.steps).toBe(4)
    expect(metrics.test.rows).toBe(5)
    for (const name of ['rouge1', 'rouge2', 'rougeL']) {
      expect(metrics.test.base[name].low).toBeLessThanOrEqual(metrics.test.base[name].score)
      expect(metrics.test.difference[name]).toHaveProperty('pValue')
    }
    expect(stderr).toContain('trainable')
    expect(stderr).toContain('npx tunesmith chat out/adapter')
    const adapter = JSON.parse(await readFile(join(folder, 'out', 'adapter', 'adapter_config.json'), 'utf8'))
    expect(adapter).toMatchObject({ peft_type: 'LORA', r: 4, base_model_name_or_path: join(folder, 'model') })
    expect(await readFile(join(folder, 'out', 'report.html'), 'utf8')).toContain('rougeL')
    expect(await readFile(join(folder, 'out', 'loss.svg'), 'utf8')).toContain('<svg')

    // The same prompts, answers and numbers, whichever command asks.
    const scored = tunesmith([
      'eval',
      'base=model',
      'tuned=out/adapter',
      '--data',
      'test.jsonl',
      '--max-new-tokens',
      '8',
      '--out',
      'again',
    ])
    expect(scored.status, scored.stderr).toBe(0)
    const report = JSON.parse(await readFile(join(folder, 'again', 'report.json'), 'utf8'))
    for (const [key, name] of Object.entries({ rouge1: 'rouge1', rougeL: 'rougeL', bleu: 'BLEU' })) {
      const { systems } = report.metrics.find((metric: { name: string }) => metric.name === name)
      expect(systems.map(({ score }: { score: number }) => score)).toEqual([
        metrics.test.base[key].score,
        metrics.test.tuned[key].score,
      ])
    }

    const chat = tunesmith(['chat', 'out/adapter', '--max-new-tokens', '5'], 'Hello there\n/reset\nAnd again\n/exit\n')
    expect(chat.status, chat.stderr).toBe(0)
    expect(chat.stdout.split('\n').length).toBeGreaterThanOrEqual(3)
  })
})

describe('a version, and models in 4 bits', () => {
  it('--version is that of the package', async () => {
    const { version } = JSON.parse(await readFile(fileURLToPath(new URL('../package.json', import.meta.url)), 'utf8'))
    expect(tunesmith(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' })
  })

  it('chat does not send a message that is too long, and goes on', () => {
    const long = 'How many apples are three and one? '.repeat(60)
    const args = ['chat', 'model', '--chat-template', 'chatml', '--max-new-tokens', '4']
    const { status, stdout, stderr } = tunesmith(args, `Hello\n${long}\nAnd now?\n`)
    expect(status, stderr).toBe(0)
    expect(stderr).toMatch(/The message was not sent; the conversation goes on/)
    expect(stdout).not.toBe('')
    expect(stdout).toBe(tunesmith(args, 'Hello\nAnd now?\n').stdout)
  })

  it('chat, eval and export quantize the base model with --load-in-4bit', async () => {
    const chat = (...more: string[]) =>
      tunesmith(['chat', 'model', '--chat-template', 'chatml', '--max-new-tokens', '20', ...more], 'Hello there\n')
    const exported = (...more: string[]) =>
      tunesmith(['export', 'model', '--to', 'safetensors', '--type', 'f32', ...more])
    const bytes = (name: string) => readFile(join(folder, name, 'model.safetensors'))
    const asked = ['model', '--data', 'test.jsonl', '--max-new-tokens', '4', '--load-in-4bit']
    for (const { status, stderr } of [
      chat('--load-in-4bit'),
      exported('--out', 'whole'),
      exported('--out', 'rounded', '--load-in-4bit'),
      tunesmith(['eval', ...asked, '--out', 'scores-4bit']),
    ])
      expect(status, stderr).toBe(0)
    const [whole, rounded] = [await bytes('whole'), await bytes('rounded')]
    expect(rounded.equals(whole)).toBe(false)
  })
})

describe('looking and measuring', () => {
  it('inspect shows what is trained, and warns', async () => {
    await writeFile(join(folder, 'config.yaml'), config())
    const { status, stdout, stderr } = tunesmith(['inspect', 'config.yaml', '--rows', '1', '--html', 'inspect.html'])
    expect(status, stderr).toBe(0)
    expect(stdout).toContain('promptCompletion: prompt from "prompt", completion from "completion"')
    expect(stdout).toContain('How many apples are 0 and 1?[ There are 1 apples.')
    expect(stdout).toMatch(/12 rows looked at: \d+ tokens, \d+ of them trained/)
    const page = await readFile(join(folder, 'inspect.html'), 'utf8')
    expect(page.replace(/<[^>]+>/g, '')).toContain('There are 1 apples.')
  })

  it('data describe counts, in tokens if asked, and finds rows of another dataset', () => {
    const { status, stdout, stderr } = tunesmith([
      'data',
      'describe',
      'test.jsonl',
      '--against',
      'train.jsonl',
      '--tokenizer',
      'model',
      '--svg',
      'lengths.svg',
      '--json',
    ])
    expect(status, stderr).toBe(0)
    const described = JSON.parse(stdout)
    expect(described.rows).toBe(5)
    expect(described.lengths.unit).toBe('tokens')
    expect(described.overlap.exact).toBeDefined()
    expect(tunesmith(['data', 'describe', 'train.jsonl']).stdout).toContain('12 rows')
  })

  it('eval scores a model beside a file of predictions', async () => {
    await writeFile(
      join(folder, 'perfect.jsonl'),
      rows(5, (i) => ({ id: String(i), prediction: `There are ${i + 51} apples.` })),
    )
    const args = [
      'eval',
      'random=model',
      'perfect=perfect.jsonl',
      '--data',
      'test.jsonl',
      '--max-new-tokens',
      '4',
      '--out',
      'scores',
    ]
    const { status, stdout, stderr } = tunesmith(args)
    expect(status, stderr).toBe(0)
    expect(stdout).toContain('rougeL')
    const report = JSON.parse(await readFile(join(folder, 'scores', 'report.json'), 'utf8'))
    expect(JSON.stringify(report)).toContain('perfect')
    expect(tunesmith(['eval', 'model']).stderr).toContain('--data')
  })

  it('quantize writes a model in fewer bytes, with a report', async () => {
    const { status, stdout, stderr } = tunesmith(['quantize', 'model', '--to', 'nf4', '--out', 'nf4', '--double-quant'])
    expect(status, stderr).toBe(0)
    expect(stdout).toMatch(/nf4: .* -> /)
    const quantized = JSON.parse(await readFile(join(folder, 'nf4', 'config.json'), 'utf8')).quantization_config
    expect(quantized).toMatchObject({ load_in_4bit: true, bnb_4bit_quant_type: 'nf4', bnb_4bit_use_double_quant: true })
    expect(await readFile(join(folder, 'nf4', 'quantization.svg'), 'utf8')).toContain('<svg')
  })
})

describe('doctor', () => {
  it('names the backend in use and what tfjs-node would need', () => {
    const { status, stdout, stderr } = tunesmith(['doctor'])
    expect(status, stderr).toBe(0)
    expect(stdout).toMatch(/^backend +(native|tensorflow|wasm|cpu): /m)
    expect(stdout).toMatch(/^ {2}package +(@tensorflow\/tfjs-node(-gpu)?|not installed .*)$/m)
    expect(stdout).toMatch(/^ {2}(to use it +np[mx] .*|binding +loads, libtensorflow 2\..*)$/m)
  })
})

describe('bad input is one clear error', () => {
  /** The error line, after checking that nothing but it was shown. */
  function failure(args: string[]): string {
    const { status, stderr } = tunesmith(args)
    expect(status).toBe(1)
    expect(stderr).not.toMatch(/^\s+at /m)
    const errors = stderr.split('\n').filter((line) => line.startsWith('error: '))
    expect(errors).toHaveLength(1)
    return errors[0]!
  }

  it('a misspelt key', async () => {
    await writeFile(
      join(folder, 'misspelt.yaml'),
      config((text) => text.replace('learningRate', 'learningrat')),
    )
    expect(failure(['train', 'misspelt.yaml'])).toBe(
      'error: unknown key "training.learningrat"; did you mean "learningRate"? (misspelt.yaml)',
    )
  })

  it('a misspelt key of the quantization', async () => {
    await writeFile(
      join(folder, 'misspelt.yaml'),
      config((text) => `${text}\nquantization: { loadIn4bits: true }\n`),
    )
    expect(failure(['train', 'misspelt.yaml'])).toMatch(/did you mean "loadIn4bit"\? \(QuantizationConfig\)/)
  })

  it('YAML that cannot be read, with its line', async () => {
    await writeFile(join(folder, 'broken.yaml'), 'model: x\ndataset: [\n')
    expect(failure(['train', 'broken.yaml'])).toMatch(/Not valid YAML: .*\(broken\.yaml:\d+:\d+\)/)
    for (const deep of [`a: ${'['.repeat(20_000)}${']'.repeat(20_000)}`, `${'? '.repeat(400)}1`]) {
      await writeFile(join(folder, 'deep.yaml'), deep)
      expect(failure(['train', 'deep.yaml'])).toMatch(/nested too deep \(deep\.yaml.*\)\. A config/)
    }
  })

  it.skipIf(process.platform === 'win32')('what is no file, before it is waited for', async () => {
    spawnSync('mkfifo', [join(folder, 'pipe.jsonl')])
    for (const command of [
      ['train', 'pipe.jsonl'],
      ['data', 'describe', 'pipe.jsonl'],
      ['quantize', 'model', '--out', 'q', '--text', 'pipe.jsonl'],
    ])
      expect(failure(command)).toMatch(/This is a named pipe, not a file \(.*pipe\.jsonl\)\. Write/)
  })

  it('a row nested too deep, with its line', async () => {
    await writeFile(join(folder, 'deep.jsonl'), `{"a":1}\n${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}\n`)
    expect(failure(['data', 'describe', 'deep.jsonl'])).toMatch(/deeper than 1000 levels.* \(deep\.jsonl:2\)/)
  })

  it('a row without completion', async () => {
    await writeFile(join(folder, 'holes.jsonl'), `${rows(3, row)}\n{"prompt": "And 3?"}\n`)
    await writeFile(
      join(folder, 'holes.yaml'),
      config((text) =>
        text.replace('train: train.jsonl', 'train: holes.jsonl').replace('outputDir: out', 'outputDir: unused'),
      ),
    )
    const error = failure(['train', 'holes.yaml'])
    expect(error).toContain('has no "completion"')
    expect(error).toMatch(/holes\.jsonl:4\)\. \w+/)
  })

  it('a truncated safetensors file', async () => {
    await cp(join(folder, 'model'), join(folder, 'short'), { recursive: true })
    await truncate(join(folder, 'short', 'model.safetensors'), 5000)
    await writeFile(
      join(folder, 'short.yaml'),
      config((text) => text.replace('model: model', 'model: short').replace('outputDir: out', 'outputDir: unused')),
    )
    const error = failure(['train', 'short.yaml'])
    expect(error).toContain(join(folder, 'short', 'model.safetensors'))
    expect(error).toMatch(/\)\. \w+/)
  })

  it('a model folder that is not there', async () => {
    await writeFile(
      join(folder, 'nowhere.yaml'),
      config((text) => text.replace('model: model', 'model: ./nowhere').replace('outputDir: out', 'outputDir: unused')),
    )
    const error = failure(['train', 'nowhere.yaml'])
    expect(error).toContain(`There is no folder "${join(folder, 'nowhere')}"`)
    expect(error).toMatch(/\)\. \w+/)
  })

  it('a config that is not there; the stack only when asked for', () => {
    expect(failure(['train', 'none.yaml'])).toContain('(none.yaml)')
    expect(tunesmith(['train', 'none.yaml', '--verbose']).stderr).toMatch(/^\s+at /m)
  })
})
