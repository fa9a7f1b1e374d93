import { setTimeout as delay } from 'node:timers/promises'
import { networkError, RequestError, requestJson } from '@tunesmith/core'
import type { Embedder } from './embedder'

export interface EndpointOptions {
  /** Up to and including the version: `https://api.example.com/v1`. */
  url: string
  model: string
  dimensions: number
  /** Sent as a bearer token; stands in no message. */
  apiKey?: string
  /** Texts in one request. Default 64. */
  batchSize?: number
  /** Tries of one request. Default 4. */
  tries?: number
}

/**
 * Any server with OpenAI's `POST /embeddings`.
 *
 * @throws {TunesmithError} `network` when it does not answer as it should.
 */
export function endpointEmbedder(options: EndpointOptions): Embedder {
  const { model, dimensions, apiKey, batchSize = 64, tries = 4 } = options
  const url = `${options.url.replace(/\/+$/, '')}/embeddings`
  return {
    name: `endpoint:${model}`,
    dimensions,
    batchSize,
    async embed(texts) {
      const headers: Record<string, string> = apiKey ? { authorization: `Bearer ${apiKey}` } : {}
      const answer = await again(tries, () =>
        requestJson<{ data?: { index: number; embedding: number[] }[] }>(url, {
          headers,
          body: { model, input: texts },
          timeoutMs: 60_000,
        }),
      )
      const { data } = answer
      if (!Array.isArray(data) || data.some(({ embedding }) => !Array.isArray(embedding)))
        throw networkError('The server gave no embeddings', { where: url, remedy: 'Check its address and the model' })
      return [...data].sort((a, b) => a.index - b.index).map(({ embedding }) => embedding)
    },
  }
}

async function again<Result>(tries: number, request: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await request()
    } catch (error) {
      if (!(error instanceof RequestError)) throw error
      if (!error.retryable || attempt === tries)
        throw networkError(error.message, { cause: error, remedy: 'Check the address, the key and the model' })
      await delay(Math.max(error.retryAfterMs, 500 * 2 ** (attempt - 1)))
    }
  }
}
