import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { saveTinyModel } from '../testing/tiny-model'
import { readFineTuneConfig } from './config'
import { fineTune } from './fine-tune'
import { preferenceLines } from './print'

let folder: string
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-preferences-'))
  await saveTinyModel(join(folder, 'model'))
  const pair = (n: number) => ({
    prompt: `Which number follows ${n}?`,
    chosen: ` ${n + 1} does.`,
    rejected: ' I do not know any of them.',
  })
  const rows = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => JSON.stringify(pair(from + i))).join('\n')
  await writeFile(join(folder, 'train.jsonl'), rows(0, 12))
  await writeFile(join(folder, 'test.jsonl'), rows(50, 54))
})
afterAll(() => rm(folder, { recursive: true }))

async function config(text: string) {
  const path = join(folder, 'config.yaml')
  await writeFile(path, text)
  return readFineTuneConfig(path)
}

const text = (method: string, outputDir: string, more: string) => `
method: ${method}
dataset: { train: train.jsonl, test: test.jsonl }
evaluation: { maxNewTokens: 2 }
outputDir: ${outputDir}
${more}`
const training =
  'training: { learningRate: 1.0e-2, maxSteps: 6, perDeviceTrainBatchSize: 4, saveStrategy: no, reportTo: [] }'
const lora = 'lora: { r: 4, targetModules: all-linear }'

describe('methods on preferences', () => {
  it('trains on pairs, goes on with the adapter, and reports how often the chosen answers are preferred', async () => {
    const first = await fineTune(await config(text('dpo', 'dpo', `model: model\n${lora}\n${training}`)), () => {})
    const { base, tuned, withoutAdapter } = first.metrics.preferences!
    expect(withoutAdapter).toBeUndefined()
    expect(base.pairs).toBe(4)
    expect(tuned.margin).toBeGreaterThan(base.margin)
    expect(tuned.accuracy).toBe(1)
    expect(preferenceLines(first)).toMatch(/of 4 held-out pairs\n {2}base: .*\n {2}tuned: 100.0%/)
    expect(await readFile(first.report!, 'utf8')).toContain('On 4 held-out pairs')
    expect(first.metrics.test!.rows).toBe(4)

    const second = await fineTune(await config(text('kto', 'kto', `model: dpo/adapter\n${training}`)), () => {})
    const after = second.metrics.preferences!
    expect(after.withoutAdapter!.margin).toBeCloseTo(base.margin, 4)
    expect(after.base.margin).toBeCloseTo(tuned.margin, 4)
    expect(after.tuned.margin).toBeGreaterThan(after.base.margin)
    expect(second.answers!.withoutAdapter).toEqual(first.answers!.base)
    expect(second.answers!.base).toEqual(first.answers!.tuned)
    expect(await readFile(second.report!, 'utf8')).toContain('base without its adapter')
    expect(second.saved).toBe(join(folder, 'kto', 'adapter'))
  })

  it('an unknown method, options of another one and a chosen side are refused', async () => {
    await expect(config(text('ppo', 'x', 'model: model'))).rejects.toThrow(/no method "ppo".*sft, dpo, kto/s)
    await expect(config(text('dpo', 'x', 'model: model\ntraining: { packing: true }'))).rejects.toThrow(/packing/)
    await expect(config(text('sft', 'x', 'model: model\ntraining: { beta: 0.2 }'))).rejects.toThrow(/beta/)
    const pairs = text('dpo', 'x', 'model: model').replace(
      'train: train.jsonl',
      'train: train.jsonl, preference: chosen',
    )
    const both = await config(pairs)
    await expect(fineTune(both, () => {})).rejects.toThrow(/learns from both sides/)
  })
})
