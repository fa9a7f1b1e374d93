import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import recorded from '../fixtures/onnx.json' with { type: 'json' }
import { embedTexts } from './embedder'
import { embedderNamed } from './named'
import { crossEncoder, onnxEmbedder } from './onnx'

const folder = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name)
    return true
  } catch {
    return false
  }
}
const installed = isInstalled('@huggingface/transformers')
if (!installed)
  console.info('skipped: @huggingface/transformers, 400 MB, is not installed; npm install it to run these')

const near = (vectors: readonly ArrayLike<number>[], wanted: readonly number[][]) => {
  expect(vectors).toHaveLength(wanted.length)
  vectors.forEach((vector, i) => {
    expect(vector).toHaveLength(wanted[i]!.length)
    wanted[i]!.forEach((value, j) => {
      expect(vector[j]).toBeCloseTo(value, 5)
    })
  })
}

describe.skipIf(!installed)('ONNX models give what they give in Python', () => {
  const { texts, question } = recorded

  it.each(['mean', 'cls'] as const)('an embedder, %s', async (pooling) => {
    const embedder = await onnxEmbedder(folder('onnx-encoder'), { pooling })
    expect(embedder.dimensions).toBe(16)
    near(await embedTexts(embedder, texts, 'passage'), recorded[pooling])
    // The name that an index keeps makes it again.
    const again = await embedderNamed(embedder.name)
    expect(again.name).toBe(embedder.name)
    near(await embedTexts(again, texts, 'passage'), recorded[pooling])
  })

  it('an embedder with prefixes, one text at a time', async () => {
    const embedder = await onnxEmbedder(folder('onnx-encoder'), { prefixes: recorded.prefixes })
    const vectors = [
      ...(await embedTexts(embedder, [question], 'question')),
      ...(await embedTexts(embedder, [texts[0]!], 'passage')),
    ]
    near(vectors, recorded.prefixed)
    expect((await embedderNamed(embedder.name)).name).toBe(embedder.name)
  })

  it('a cross-encoder', async () => {
    const scores = await (await crossEncoder(folder('onnx-cross-encoder')))(question, texts)
    near([scores], [recorded.scores])
  })

  it('a model that is not there is one clear error', async () => {
    await expect(onnxEmbedder(folder('onnx-absent'))).rejects.toThrow(/The model cannot be loaded/)
  })
})

it.skipIf(installed)('says what to install', async () => {
  await expect(onnxEmbedder(folder('onnx-encoder'))).rejects.toThrow(/npm install @huggingface\/transformers/)
})
