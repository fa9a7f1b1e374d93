import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EMBEDDED_MODEL } from 'example-kit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeSplits, SEED } from '../rows'
import { layOutJob, runJobProcess } from '../spot'
import { readHyperparameters } from './hyperparameters'

let base: string
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'service-'))
})
afterAll(() => rmSync(base, { recursive: true, force: true }))

const rows = makeSplits(SEED).train.slice(0, 24)
const hyperparameters = {
  lora_r: '4',
  learning_rate: '0.003',
  max_steps: '8',
  per_device_train_batch_size: '2',
  max_length: '256',
  logging_steps: '1',
  save_steps: '100',
  save_strategy: 'steps',
}

it('trains in the folders of a service, survives SIGTERM, and goes on where it was', async () => {
  const job = join(base, 'job')
  layOutJob(job, { rows, hyperparameters, baseModel: EMBEDDED_MODEL })
  const first = await runJobProcess(job, { interruptAt: 3 })
  expect(first).toMatchObject({ exitCode: 143, resumedStep: 0 })
  const stopped = first.losses.at(-1)![0]
  expect(stopped).toBeGreaterThanOrEqual(3)
  expect(stopped).toBeLessThan(8)
  expect(readdirSync(join(job, 'checkpoints'))).toContain(`checkpoint-${stopped}`)
  expect(existsSync(join(job, 'model', 'adapter_model.safetensors'))).toBe(false)

  const second = await runJobProcess(job)
  expect(second).toMatchObject({ exitCode: 0, resumedStep: stopped })
  expect(second.losses[0]![0]).toBe(stopped + 1)
  expect(second.losses.at(-1)![0]).toBe(8)
  expect(readdirSync(join(job, 'model'))).toEqual(expect.arrayContaining(['adapter_config.json', 'training.json']))
  expect(JSON.parse(readFileSync(join(job, 'model', 'adapter_config.json'), 'utf8'))).toMatchObject({
    r: 4,
    lora_alpha: 8,
  })
  // Whatever the service copies away: no id of a patient is in it.
  for (const name of readdirSync(job, { recursive: true }) as string[])
    if (!name.startsWith('input') && /\.(json|jsonl|svg)$/.test(name))
      expect(readFileSync(join(job, name), 'utf8')).not.toContain(rows[0]!.id)
}, 120_000)

it('says why a job failed where the service looks, and exits with 1', async () => {
  const job = join(base, 'failing')
  layOutJob(job, { rows, hyperparameters: { learning_rat: '1' }, baseModel: EMBEDDED_MODEL })
  expect((await runJobProcess(job)).exitCode).toBe(1)
  expect(readFileSync(join(job, 'output', 'failure'), 'utf8')).toMatch(/Unknown hyperparameter "learning_rat"/)
}, 60_000)

it('reads hyperparameters as services write them', () => {
  const file = join(base, 'hyperparameters.json')
  const text = {
    model: 'me/my-model',
    load_in_4bit: 'False',
    lora_r: '8',
    loraTargetModules: '["q_proj"]',
    use_rslora: 'true',
    learning_rate: '1e-4',
    optim: 'paged_adamw_8bit',
    packing: 'True',
  }
  writeFileSync(file, JSON.stringify(text))
  expect(readHyperparameters(file)).toEqual({
    model: 'me/my-model',
    loadIn4bit: false,
    lora: { r: 8, loraAlpha: 8, targetModules: ['q_proj'], useRslora: true },
    training: { learningRate: 1e-4, optim: 'paged_adamw_8bit', packing: true },
  })
  expect(readHyperparameters(join(base, 'none.json'))).toMatchObject({
    loadIn4bit: true,
    lora: { r: 16, loraAlpha: 8 },
  })
  writeFileSync(file, '{')
  expect(() => readHyperparameters(file)).toThrow(/not JSON/)
})
