import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { selectBackend } from '@tunesmith/backend'
import { openCheckpoint, openSafetensors, readJsonFile, writeSafetensors } from '@tunesmith/hub'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generate, loadModel, packSequences, savePretrained } from './index'
import { FAMILIES } from './testing/families'
import { floats, ints, largestDifference, tensorTexts } from './testing/golden-tensors'

const fixtures = fileURLToPath(new URL('fixtures', import.meta.url))
let folder: string
beforeAll(async () => {
  await selectBackend()
  folder = await mkdtemp(join(tmpdir(), 'tunesmith-half-'))
})
afterAll(() => rm(folder, { recursive: true }))

const wholes = FAMILIES.flatMap(({ whole }) => whole ?? [])

describe('the text half of a model of more than text', () => {
  for (const name of wholes) {
    it(`${name}: logits and greedy tokens; what is left out is named`, async () => {
      const lines: string[] = []
      const onWarning = (line: string) => lines.push(line)
      const model = await loadModel(join(fixtures, name), { dtype: 'float32', onWarning })
      expect(lines).toHaveLength(1)
      expect(lines[0]).toMatch(/left out, as only text is computed with: .*\d+ of (vision_tower|visual)/)
      expect([...model.linears.keys()][0]).toMatch(/^model\.language_model\.layers\.0\./)
      const golden = await openSafetensors(join(fixtures, name, 'expected.safetensors'))
      const prompts: number[][] = []
      const greedy: number[][] = []
      for (const i of [0, 1, 2]) {
        prompts.push(await ints(golden, `input_ids.${i}`))
        greedy.push(await ints(golden, `greedy.${i}`))
        const ours = tf.tidy(() => model.logits(model.forward(packSequences([prompts[i]!]))).dataSync())
        expect(largestDifference(ours as Float32Array, await floats(golden, `logits.${i}`))).toBeLessThan(1e-4)
      }
      expect(await generate(model, prompts, { maxNewTokens: 64, stopTokenIds: [] })).toEqual(greedy)
      await golden.close()
      model.dispose()
    })

    it(`${name}: is saved with the names of the whole, and with its other half`, async () => {
      const [from, to] = [join(fixtures, name), join(folder, name)]
      const model = await loadModel(from, { onWarning: () => {} })
      await savePretrained(model, to)
      expect(await tensorTexts(to)).toEqual(await tensorTexts(from))
      const config = await readJsonFile<object>(join(from, 'config.json'))
      expect(await readJsonFile(join(to, 'config.json'))).toEqual({ ...config, torch_dtype: 'bfloat16' })
      model.dispose()
    })
  }

  it('is found under the names that transformers has in memory too', async () => {
    const path = join(folder, 'renamed')
    await cp(join(fixtures, 'gemma3'), path, { recursive: true })
    const checkpoint = await openCheckpoint(path)
    const tensors = [...checkpoint.tensors].map(([name, { dtype, shape }]) => ({
      name: name.replace(/^language_model\.model\./, 'model.language_model.').replace(/^vision_tower/, 'model.$&'),
      dtype: dtype as 'BF16',
      shape,
      data: () => checkpoint.read(name),
    }))
    await writeSafetensors(join(folder, 'model.safetensors'), tensors, {})
    await checkpoint.close()
    await cp(join(folder, 'model.safetensors'), join(path, 'model.safetensors'))
    const [one, other] = [await loadModel(path, silent), await loadModel(join(fixtures, 'gemma3'), silent)]
    const logits = (model: typeof one) =>
      tf.tidy(() => Array.from(model.logits(model.forward(packSequences([[5, 6, 7]]))).dataSync()))
    expect(logits(one)).toEqual(logits(other))
    expect(one.origin!.leftOut.length).toBe(other.origin!.leftOut.length)
    one.dispose()
    other.dispose()
  })

  it('that lacks a tensor, or has one too many, names it', async () => {
    const path = join(folder, 'damaged')
    await cp(join(fixtures, 'gemma3'), path, { recursive: true })
    const checkpoint = await openCheckpoint(path)
    const tensors = [...checkpoint.tensors].map(([name, { dtype, shape }]) => ({
      name: name.replace('layers.1.mlp.up_proj', 'layers.1.mlp.upward'),
      dtype: dtype as 'BF16',
      shape,
      data: () => checkpoint.read(name),
    }))
    await writeSafetensors(join(folder, 'damaged.safetensors'), tensors, {})
    await checkpoint.close()
    await cp(join(folder, 'damaged.safetensors'), join(path, 'model.safetensors'))
    await expect(loadModel(path, silent)).rejects.toThrow(
      /missing: model\.language_model\.layers\.1\.mlp\.up_proj\.weight.*not expected: model\.language_model\.layers\.1\.mlp\.upward/,
    )
    await writeFile(join(path, 'config.json'), JSON.stringify({ model_type: 'gemma3', text_config: 'none' }))
    await expect(loadModel(path, silent)).rejects.toThrow('"text_config"')
  })
})

const silent = { onWarning: () => {} }
