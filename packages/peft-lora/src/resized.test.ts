import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selectBackend } from '@tunesmith/backend'
import { resizeTokenEmbeddings } from '@tunesmith/models'
import { expect, it } from 'vitest'
import { getPeftModel, loadPeftModel, savePeftModel } from './index'
import { largestDifference, logitsOf, perturb } from './testing/measure'
import { tinyModel } from './testing/tiny-model'

it('an adapter of a model with more tokens has their rows in its file, and says when the model lacks them', async () => {
  await selectBackend()
  const folder = await mkdtemp(join(tmpdir(), 'tunesmith-resized-'))
  const model = tinyModel()
  resizeTokenEmbeddings(model, 50)
  const peft = getPeftModel(model)
  expect(() => resizeTokenEmbeddings(model, 52)).toThrow('Resize the model first')
  perturb(peft)
  await savePeftModel(peft, folder)
  const ids = [3, 49, 48, 5]
  const logits = logitsOf(model, [ids])
  peft.unload().dispose()

  const small = tinyModel()
  await expect(loadPeftModel(small, folder)).rejects.toThrow('Call resizeTokenEmbeddings(model, 50) first')
  resizeTokenEmbeddings(small, 50)
  const again = await loadPeftModel(small, folder)
  expect(largestDifference(logitsOf(small, [ids]), logits)).toBeLessThan(1e-5)
  again.unload().dispose()
  await rm(folder, { recursive: true })
})
