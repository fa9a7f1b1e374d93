import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LanguageModel, likelihoodReranker, modelEmbedder } from './causal-model'
import { embedTexts } from './embedder'
import { endpointEmbedder } from './endpoint'
import { importPeer } from './import-peer'
import { sentenceEncoder } from './sentence-encoder'

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0)

it('the sentence encoder puts what means the same together', { timeout: 60_000 }, async () => {
  const embedder = await sentenceEncoder()
  const [a, b, c] = await embedTexts(embedder, ['high blood pressure', 'hypertension', 'a train to Paris'], 'passage')
  expect(a).toHaveLength(512)
  expect(dot(a!, a!)).toBeCloseTo(1, 5)
  expect(dot(a!, b!)).toBeGreaterThan(dot(a!, c!) + 0.1)
  // Copies of TensorFlow.js share what lies here: none came into this thread, where a model may be running on another backend.
  expect(Object.keys(globalThis)).not.toContain('_tfengine')
})

it('says what to install for a package that is not there', async () => {
  const load = () => import('no-such-package' as string)
  await expect(importPeer(load, 'An embedder', 'some-package')).rejects.toThrow(
    /An embedder needs a package .*npm install some-package/,
  )
})

describe('an endpoint', () => {
  const asked: { url: string | undefined; key: string | undefined; body: { input: string[] } }[] = []
  let failures = 1
  let answer: (input: string[]) => unknown
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (part) => {
      text += part
    })
    request.on('end', () => {
      const body = JSON.parse(text)
      asked.push({ url: request.url, key: request.headers.authorization, body })
      response.statusCode = failures-- > 0 ? 503 : 200
      response.end(JSON.stringify(answer(body.input)))
    })
  })
  let url: string
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`
  })
  afterAll(() => new Promise((resolve) => server.close(resolve)))

  it('is asked in batches, again after a failure, and gives vectors in the order of the texts', async () => {
    answer = (input) => ({
      data: input.map((text, index) => ({ index, embedding: [text.length, 1] })).reverse(),
    })
    const embedder = endpointEmbedder({ url, model: 'm', dimensions: 2, apiKey: 'k-123456789', batchSize: 2 })
    const vectors = await embedTexts(embedder, ['a', 'bbb', 'cc'], 'question')
    expect(vectors.map((vector) => Math.round(vector[0]! / vector[1]!))).toEqual([1, 3, 2])
    expect(asked.map(({ body }) => body.input)).toEqual([['a', 'bbb'], ['a', 'bbb'], ['cc']])
    expect(asked[0]).toMatchObject({ url: '/v1/embeddings', key: 'Bearer k-123456789' })
  })

  it('that answers something else is an error', async () => {
    answer = () => ({ nothing: true })
    const embedder = endpointEmbedder({ url, model: 'm', dimensions: 2 })
    await expect(embedTexts(embedder, ['a'], 'question')).rejects.toThrow(/gave no embeddings/)
    answer = () => ({ data: [] })
    await expect(embedTexts(embedder, ['a'], 'question')).rejects.toThrow(/0 vectors came for 1 texts/)
    failures = 9
    await expect(
      endpointEmbedder({ url, model: 'm', dimensions: 2, tries: 1 }).embed(['a'], 'question'),
    ).rejects.toThrow(/answered 503/)
  })
})

describe('a causal model', () => {
  const tensor = (data: number[], shape: number[]) => ({ shape, data: async () => data, dispose() {} })
  /** Hidden states are the ids; a label is as likely as it is near its token. */
  const model: LanguageModel = {
    config: { hiddenSize: 2, maxPositionEmbeddings: 8 },
    forward: ({ inputIds }) =>
      tensor(
        Array.from(inputIds).flatMap((id) => [id, 1]),
        [inputIds.length, 2],
      ),
    tokenLogProbs: ({ inputIds }, labels) => ({
      logProbs: tensor(
        Array.from(labels, (label, i) => (label === -100 ? 0 : -Math.abs(label - inputIds[i]!))),
        [labels.length],
      ),
    }),
  }
  const tokenizer = { encode: (text: string) => ({ ids: Array.from(text, (letter) => letter.charCodeAt(0) - 96) }) }

  it('embeds by the mean of its hidden states, within its context', async () => {
    expect(await modelEmbedder(model, tokenizer).embed(['ac', 'b', 'a'.repeat(20)], 'passage')).toEqual([
      Float64Array.of(2, 1),
      Float64Array.of(2, 1),
      Float64Array.of(1, 1),
    ])
  })

  it('ranks by how likely the question is behind a passage', async () => {
    const rerank = likelihoodReranker(model, { encode: (text) => tokenizer.encode(text.replace('\nQuestion: ', '')) })
    expect((await rerank('bb', ['b', 'e'])).map((score) => score + 0)).toEqual([0, -1.5])
  })
})
