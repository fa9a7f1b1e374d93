import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { consoleReporter } from './console'
import { jsonlReporter } from './jsonl'
import { reportedMetrics } from './metric-names'
import { context, evalLog, plan, result, trainLog } from './testing/logs'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('jsonlReporter', () => {
  it('keeps the lines up to the checkpoint on a resume, whatever was torn after it', async () => {
    const path = join(folder, 'deeper', 'logs.jsonl')
    const steps = async () =>
      (await readFile(path, 'utf8'))
        .trimEnd()
        .split('\n')
        .map((line) => [JSON.parse(line).step, JSON.parse(line).loss])
    const first = jsonlReporter(path)
    await first.onTrainBegin!(plan({ outputDir: folder }), context())
    for (const step of [1, 2, 3]) await first.onLog!(trainLog({ step, loss: step }), context())
    await appendFile(path, '{"step":4,"lo')
    const second = jsonlReporter(path)
    await second.onTrainBegin!(plan({ outputDir: folder }, { resumedStep: 2 }), context())
    for (const step of [3, 4]) await second.onLog!(trainLog({ step, loss: 10 * step }), context())
    expect(await steps()).toEqual([
      [1, 1],
      [2, 2],
      [3, 30],
      [4, 40],
    ])
    const anew = jsonlReporter(path)
    await anew.onTrainBegin!(plan({ outputDir: folder }), context())
    await anew.onLog!(trainLog({ step: 1, loss: 7 }), context())
    expect(await steps()).toEqual([[1, 7]])
  })
})

describe('consoleReporter', () => {
  it('says what will happen, what happens, and how it ended', async () => {
    const written: string[] = []
    const stream = { write: (text: string) => written.push(text) > 0 } as unknown as NodeJS.WriteStream
    const reporter = consoleReporter(stream)
    const memory = {
      weights: 2 ** 30,
      gradients: 0,
      optimizer: 0,
      activations: 2 ** 31,
      total: 3 * 2 ** 30,
      available: 2 ** 31,
    }
    await reporter.onTrainBegin!(
      plan({ outputDir: folder }, { memory, resumedStep: 4, resumedFrom: 'checkpoint-4' }),
      context(),
    )
    await reporter.onStepEnd!({ step: 5, totalSteps: 10, loss: 2, tokensPerSecond: 100 }, context())
    await reporter.onEvaluate!(evalLog({ step: 5, evalRougeL: 0.5 }), context())
    await reporter.onSave!({ step: 5, folder: 'checkpoint-5', seconds: 1 }, context())
    await reporter.onNotice!({ level: 'warning', step: 5, message: 'the disk is full' }, context())
    await reporter.onTrainEnd!(result('interrupted'), context())
    const text = written.join('')
    for (const part of [
      'trainable    10 of 100 parameters (10.00%)',
      'memory       about 3.0 GB of 2.0 GB free: weights 1.0 GB',
      'warning: that is more memory than there is free',
      'resumed      after step 4, from checkpoint-4',
      'eval at step 5: loss 1.0000, perplexity 2.70, ROUGE-L 0.5000',
      'saved step 5 in checkpoint-5 (1s)',
      'warning: the disk is full',
      'train: 5/10',
      'interrupted',
    ])
      expect(text).toContain(part)
  })
})

it("reportedMetrics has transformers' names", () => {
  expect(Object.keys(reportedMetrics(trainLog()))).toContain('train/mean_token_accuracy')
  expect(reportedMetrics(evalLog({ evalRougeL: 0.5, epoch: 2 }))).toMatchObject({
    'eval/rouge_l': 0.5,
    'train/epoch': 2,
  })
})
