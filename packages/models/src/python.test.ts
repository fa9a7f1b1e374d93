import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { selectBackend } from '@tunesmith/backend'
import { openSafetensors } from '@tunesmith/hub'
import { pythonVenv } from '@tunesmith/tooling/python'
import { sharedPath } from '@tunesmith/tooling/shared'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { generate, loadModel, savePretrained } from './index'
import { ints } from './testing/golden-tensors'

const goldens = sharedPath('goldens')
const script = fileURLToPath(new URL('../scripts/greedy.py', import.meta.url))
const COUNT = 64
/** Below this distance of the two best logits, rounding decides. */
const TIE = 5e-4

let folder: string
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-python-'))
})
afterAll(() => rm(folder, { recursive: true }))

const plain = ['tiny-llama', 'tiny-llama31', 'tiny-mistral', 'tiny-qwen2', 'tiny-llama-bf16-sharded']
const quantized = ['tiny-llama-nf4', 'tiny-llama-int8']

// The first time pip may have to fetch the packages.
it.runIf(goldens)(
  'greedy tokens are those of transformers over 64 tokens, from shards, 16 bits and quantized weights too',
  { timeout: 900_000 },
  async (context) => {
    const { python, reason } = await pythonVenv('peft', ['torch', 'transformers', 'peft', 'safetensors'])
    if (!python) context.skip(`transformers for Python is not available: ${reason}`)
    const cases: { name: string; folder: string; prompts: number[][]; ours: number[][] }[] = []
    for (const name of [...plain, ...quantized]) {
      const model = await loadModel(join(goldens!, name))
      const golden = await openSafetensors(join(goldens!, name, 'logits.safetensors'))
      const prompts = await Promise.all([0, 1, 2].map((i) => ints(golden, `input_ids.${i}`)))
      await golden.close()
      const ours = await generate(model, prompts, { maxNewTokens: COUNT, stopTokenIds: [], doSample: false })
      // Python needs a graphics card for quantized weights, so it gets them expanded.
      const there = quantized.includes(name) ? join(folder, name) : join(goldens!, name)
      if (quantized.includes(name)) await savePretrained(model, there, { dtype: 'float32' })
      model.dispose()
      cases.push({ name, folder: there, prompts, ours })
    }
    const task = JSON.stringify(cases.map(({ folder, prompts }) => ({ folder, prompts })))
    const output = execFileSync(python!, [script, task, String(COUNT)], {
      stdio: ['ignore', 'pipe', 'ignore'],
      encoding: 'utf8',
    })
    const theirs: { tokens: number[]; gaps: number[] }[][] = JSON.parse(output.trim().split('\n').at(-1)!)
    let compared = 0
    for (const [c, { name, ours }] of cases.entries())
      for (const [i, { tokens, gaps }] of theirs[c]!.entries()) {
        const tie = gaps.findIndex((gap) => gap < TIE)
        const length = tie < 0 ? COUNT : tie
        compared += length
        expect(ours[i]!.slice(0, length), `${name}, prompt ${i}`).toEqual(tokens.slice(0, length))
      }
    expect(compared).toBeGreaterThan(0.9 * COUNT * 3 * cases.length)
  },
)
