import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { loadModel, packSequences } from '@tunesmith/models'
import { Tokenizer } from '@tunesmith/tokenization'
import { pythonVenv } from '@tunesmith/tooling/python'
import { expect, it } from 'vitest'
import { DPOTrainer } from './index'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const venv = await pythonVenv('peft', ['torch', 'transformers', 'peft'])
if (!venv.python) console.warn(`skipped: Python PEFT is not here (${venv.reason})`)

it.skipIf(!venv.python)(
  'an adapter trained on preferences gives Python PEFT the same logits',
  { timeout: 120_000 },
  async () => {
    await selectBackend()
    const folder = await mkdtemp(join(tmpdir(), 'tunesmith-preference-peft-'))
    const base = path('../../models/src/fixtures/llama')
    const trainer = new DPOTrainer({
      model: await loadModel(base),
      tokenizer: await Tokenizer.fromPretrained(path('./fixtures/tokenizer')),
      trainDataset: ['mild', 'severe'].map((word) => ({
        prompt: 'the patient ',
        chosen: `has ${word} pain`,
        rejected: 'no',
      })),
      peftConfig: { r: 4, targetModules: 'all-linear' },
      args: { outputDir: folder, maxSteps: 5, learningRate: 1e-2, saveStrategy: 'no', reportTo: [] },
    })
    await trainer.train()
    await trainer.saveModel(join(folder, 'adapter'))
    const ids = [5, 9, 14, 30, 2]
    const { model } = trainer
    const ours = tf.tidy(() => model.logits(model.forward(packSequences([ids]))).dataSync())
    const script = path('../scripts/peft-load.py')
    const out = execFileSync(venv.python!, [script, base, join(folder, 'adapter'), JSON.stringify(ids)], {
      encoding: 'utf8',
    })
    const theirs = JSON.parse(out) as number[]
    expect(theirs.length).toBe(ours.length)
    expect(theirs.reduce((most, value, i) => Math.max(most, Math.abs(value - ours[i]!)), 0)).toBeLessThan(1e-3)
    await rm(folder, { recursive: true })
  },
)
