import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { LocalHub } from './fixtures/local-hub'
import * as hubPackage from './index'

const { openCheckpoint, writeSafetensors, uploadFolder } = hubPackage
let hub: LocalHub
let folder: string
const saved = { ...process.env }
beforeAll(async () => {
  hub = await LocalHub.start()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-readme-'))
  Object.assign(process.env, { HF_ENDPOINT: hub.endpoint, HF_HOME: join(folder, 'home'), HF_TOKEN: 'hf_write_me' })
})
afterAll(async () => {
  process.env = saved
  await hub.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Runs a README example with its folders moved into a temporary one. */
async function run(code: string): Promise<void> {
  const body = code
    .replace(/import (\{[^}]+\}) from '@tunesmith\/hub'/, 'const $1 = hub')
    .replaceAll(')!.', ').')
    .replaceAll("'./", `'${folder}/`)
    .replaceAll("'runs/", `'${folder}/runs/`)
  const AsyncFunction = (async () => undefined).constructor as new (
    ...text: string[]
  ) => (hub: unknown) => Promise<void>
  await new AsyncFunction('hub', body)(hubPackage)
}

it('runs the examples of the README', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const [local, download, upload] = [...readme.matchAll(/```ts(?: no-run)?\n(.*?)```/gs)].map(([, code]) => code!)
  const norm = {
    name: 'model.norm.weight',
    dtype: 'BF16' as const,
    shape: [4],
    data: Uint8Array.of(128, 63, 0, 64, 0, 192, 0, 0),
  }
  await writeSafetensors(join(folder, 'model.safetensors'), [norm])
  hub.put('HuggingFaceTB/SmolLM2-135M', {
    'config.json': '{}',
    'model.safetensors': await readFile(join(folder, 'model.safetensors')),
  })
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  const write = vi.spyOn(process.stderr, 'write').mockImplementation(() => true)
  await run(local!)
  expect(log.mock.calls).toEqual([
    [expect.objectContaining({ dtype: 'F32', shape: [2, 2] }), Float32Array.of(1, 2, 3, 4)],
  ])
  log.mockClear()
  await run(download!)
  expect(log.mock.calls).toEqual([['model.norm.weight', 'BF16', [4]], [Float32Array.of(1, 2, -2, 0)]])
  log.mockRestore()
  write.mockRestore()
  const copy = await openCheckpoint(join(folder, 'copy'))
  expect(await copy.read('model.norm.weight')).toEqual(norm.data)
  await copy.close()

  await writeSafetensors(join(folder, 'runs', 'support-answers', 'adapter_model.safetensors'), [norm])
  await run(upload!)
  expect(uploadFolder).toBeTypeOf('function')
  const repo = hub.store.find('model', 'your-name/support-answers')!
  const files = repo.commits.get(repo.refs.get('main')!)!
  expect([...files.keys()].sort()).toEqual(['README.md', 'adapter_model.safetensors'])
  expect(files.get('README.md')!.content.toString()).toContain('license: apache-2.0')
})
