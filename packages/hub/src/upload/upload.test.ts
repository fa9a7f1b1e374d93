import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { downloadSnapshot } from '../download/snapshot'
import { LocalHub } from '../fixtures/local-hub'
import { originals, withPip } from '../fixtures/python'
import { type ModelCardOptions, modelCard } from './model-card'
import { type UploadFolderOptions, uploadFolder } from './upload-folder'

let hub: LocalHub
let folder: string
const weights = randomBytes(400_000)
const adapter = {
  peft_type: 'LORA',
  base_model_name_or_path: 'org/base',
  r: 8,
  lora_alpha: 16,
  target_modules: ['q_proj', 'v_proj'],
  use_rslora: false,
}

beforeAll(async () => {
  hub = await LocalHub.start()
})
afterAll(() => hub.stop())
beforeEach(async () => {
  hub.reset()
  hub.store.repos.clear()
  hub.store.uploads.clear()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-upload-'))
  await writeFile(join(folder, 'adapter_model.safetensors'), weights)
  await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(adapter))
  await mkdir(join(folder, 'sub'))
  await writeFile(join(folder, 'sub', 'tokenizer ü.json'), '{}')
  await writeFile(join(folder, '.env'), 'HF_TOKEN=hf_oops')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const upload = (options: Partial<UploadFolderOptions> = {}) =>
  uploadFolder({
    repoId: 'me/tuned',
    folderPath: folder,
    endpoint: hub.endpoint,
    token: 'hf_write_me',
    retryDelayMs: 5,
    ...options,
  })
const stored = (branch = 'main') => {
  const repo = hub.store.find('model', 'me/tuned')!
  return repo.commits.get(repo.refs.get(branch)!)!
}

describe('uploadFolder', () => {
  it('makes the repository, sends large files to storage and the rest in one commit, with a card', async () => {
    const phases = new Set<string>()
    const result = await upload({ onProgress: ({ phase }) => phases.add(phase) })
    expect(result.files).toEqual([
      'README.md',
      'adapter_config.json',
      'adapter_model.safetensors',
      'sub/tokenizer ü.json',
    ])
    expect([...stored().keys()].sort()).toEqual(result.files)
    expect(stored().get('adapter_model.safetensors')!.content.equals(weights)).toBe(true)
    expect(stored().get('adapter_config.json')!.content.toString()).toBe(JSON.stringify(adapter))
    const card = stored().get('README.md')!.content.toString()
    expect(card).toMatch(/^---\nlibrary_name: peft\n/)
    expect(card).toContain('base_model: org/base\nbase_model_relation: adapter\n')
    expect(card).toContain('| target_modules | q_proj, v_proj |')
    expect([...phases]).toEqual(['preparing', 'uploading', 'committing'])
    expect(result.url).toContain(result.commit)
    for (const { server, headers } of hub.requests)
      expect(headers.authorization).toBe(server === 'hub' ? 'Bearer hf_write_me' : undefined)
    const back = await downloadSnapshot({
      repoId: 'me/tuned',
      endpoint: hub.endpoint,
      cacheDir: join(folder, '.cache'),
      revision: result.commit,
    })
    expect(back).toContain(result.commit)
  })

  it('sends nothing twice, keeps a README.md, and commits to a branch that was asked for', async () => {
    await upload()
    hub.reset()
    await writeFile(join(folder, 'README.md'), '# Mine\n')
    await upload({ revision: 'v2', ignorePatterns: ['sub/'] })
    expect(hub.requests.filter(({ method }) => method === 'PUT')).toEqual([])
    expect(stored('v2').get('README.md')!.content.toString()).toBe('# Mine\n')
    expect([...stored('v2').keys()].length).toBe(3)
    await upload({ revision: 'v3', card: false, allowPatterns: ['*.safetensors'] })
    expect([...stored('v3').keys()]).toEqual(['adapter_model.safetensors'])
  })

  it('repeats what fails for a passing reason', async () => {
    hub.fail({ match: '/preupload/', status: 503 })
    hub.fail({ match: 'Signature', method: 'PUT', status: 500, times: 2 })
    hub.fail({ match: '/commit/', status: 429 })
    await upload()
    expect(stored().get('adapter_model.safetensors')!.content.equals(weights)).toBe(true)
  })

  it('explains a missing token, one that may not write, a missing folder and nothing to send', async () => {
    await expect(upload({ token: false })).rejects.toMatchObject({
      code: 'invalid_options',
      message: expect.stringContaining('An upload needs a token'),
    })
    await expect(upload({ token: 'hf_read_only' })).rejects.toMatchObject({
      code: 'network',
      message: expect.stringMatching(/may not write to me\/tuned .*403/),
    })
    await expect(upload({ folderPath: join(folder, 'none') })).rejects.toMatchObject({ code: 'not_found' })
    await expect(upload({ allowPatterns: ['*.gguf'] })).rejects.toMatchObject({ code: 'not_found' })
    await expect(upload({ repoId: 'tuned' })).rejects.toMatchObject({ code: 'invalid_options' })
    await expect(upload({ commitMesage: 'x' } as object)).rejects.toThrow('did you mean "commitMessage"')
    hub.fail({ match: 'Signature', method: 'PUT', status: 400, times: 9 })
    const error = (await upload().catch((each: unknown) => each)) as Error
    expect(error).toMatchObject({ code: 'network' })
    expect(error.message).not.toContain('secret')
    expect(hub.store.find('model', 'me/tuned')!.commits.size).toBe(0)
  })

  it('stops on request', async () => {
    const stop = new AbortController()
    const running = upload({ signal: stop.signal, onProgress: () => stop.abort() })
    await expect(running).rejects.toMatchObject({ code: 'aborted' })
  })
})

const full: ModelCardOptions = {
  title: 'Tiny: a "test" #1',
  description: 'For tests.',
  baseModel: 'org/base',
  method: 'LoRA',
  datasets: ['org/rows', './my rows.jsonl'],
  language: ['en', 'no'],
  license: 'other',
  licenseName: 'my: licence',
  licenseLink: 'https://example.com/#l',
  hyperparameters: {
    learning_rate: 2e-4,
    schedule: 'cosine | linear',
    packing: true,
    target_modules: ['q_proj', 'k_proj'],
  },
  metrics: [
    { name: 'rougeL', value: 0.25, dataset: 'org/rows', split: 'test', base: 0.125 },
    { name: 'loss', value: 1e-7 },
  ],
  tags: ['123', 'yes', 'a:b', 'tunesmith'],
  repoId: 'me/tuned',
}

describe('modelCard', () => {
  it('has a section for each thing a reader asks, and says what is not known', () => {
    const card = modelCard(full)
    for (const text of [
      'an adapter for [org/base](https://huggingface.co/org/base)',
      '| schedule | cosine \\| linear |',
      '| rougeL | org/rows, test | 0.25 | 0.125 |',
      '- `./my rows.jsonl`',
      'from_pretrained("me/tuned")',
      'npx tunesmith chat me/tuned\n',
      '(my: licence): https://example.com/#l',
    ])
      expect(card).toContain(text)
    const moved = modelCard({ ...full, baseModel: '/home/me/model' })
    expect(moved).toContain('npx tunesmith chat me/tuned --base BASE_MODEL\n')
    const bare = modelCard({ title: 'x', relation: 'merge' })
    for (const text of ['Not measured.', 'Not described.', 'not recorded', 'Not stated.']) expect(bare).toContain(text)
    expect(bare).not.toContain('base_model')
    expect(modelCard({ title: 'x', baseModel: '/home/me/model' })).not.toContain('base_model:')
    expect(() => modelCard({ title: 'x', licence: 'mit' } as object as ModelCardOptions)).toThrow(
      'did you mean "license"',
    )
  })

  it('is read by huggingface_hub as it was meant', withPip, async (context) => {
    const { python, reason } = await originals()
    if (!python) return context.skip(reason)
    const script = `
import json, sys
from huggingface_hub import ModelCard
d = ModelCard(sys.stdin.read()).data
print(json.dumps([d.to_dict(), [[r.metric_type, r.metric_value, r.dataset_name, r.dataset_split] for r in d.eval_results]]))`
    const run = promisify(execFile)(python, ['-c', script])
    run.child.stdin!.end(modelCard(full))
    const [data, results] = JSON.parse((await run).stdout)
    expect(data).toMatchObject({
      library_name: 'peft',
      pipeline_tag: 'text-generation',
      base_model: 'org/base',
      base_model_relation: 'adapter',
      datasets: ['org/rows'],
      language: ['en', 'no'],
      license: 'other',
      license_name: 'my: licence',
      license_link: 'https://example.com/#l',
      tags: ['tunesmith', 'lora', '123', 'yes', 'a:b'],
    })
    expect(data['model-index'][0].name).toBe(full.title)
    expect(results).toEqual([
      ['rougeL', 0.25, 'org/rows', 'test'],
      ['loss', 1e-7, 'held-out rows', null],
    ])
  })
})
