import { selectBackend } from '@tunesmith/backend'
import { Engine, generateText as libraryText } from '@tunesmith/models'
import type { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { toAISDKEmbeddingModel, toAISDKModel } from './ai-sdk'
import { createApp } from './index'
import { tinyModel, tinyTokenizer } from './testing/tiny-server'

let app: Hono
let engine: Engine

beforeAll(async () => {
  await selectBackend()
  engine = new Engine(tinyModel(), { cacheTokens: 2048 })
  app = createApp({ engine, tokenizer: await tinyTokenizer(), modelName: 'tiny' })
})
afterAll(() => engine.close())

const version = Number(process.versions.node.split('.')[0])
const SDKS: [string, boolean][] = [
  ['ai', true],
  // It needs Node 22.
  ['ai-7', version >= 22],
]

for (const [name, runs] of SDKS)
  describe.runIf(runs)(`the AI SDK, ${name}`, () => {
    it("gets the library's greedy text, whole and streamed, with usage and why it ended", async () => {
      const { generateText, streamText } = (await import(name)) as typeof import('ai')
      const tokenizer = await tinyTokenizer()
      const messages = [
        { role: 'system' as const, content: 'Be short.' },
        { role: 'user' as const, content: 'What is a café?' },
      ]
      const { ids } = tokenizer.renderChat(messages, { addGenerationPrompt: true })
      const alone = tinyModel()
      const [want] = await libraryText(alone, tokenizer, [ids], { maxNewTokens: 24 })
      alone.dispose()
      const model = toAISDKModel(app, 'tiny')
      const asked = { model, system: 'Be short.', prompt: 'What is a café?', maxOutputTokens: 24, temperature: 0 }
      const whole = await generateText(asked)
      expect(whole.text).toBe(want!.text)
      expect(whole.finishReason).toBe(want!.finish)
      expect(whole.usage).toMatchObject({ inputTokens: ids.length, outputTokens: want!.tokens.length })
      const stream = streamText(asked)
      let text = ''
      for await (const part of stream.textStream) text += part
      expect(text).toBe(want!.text)
      expect(await stream.finishReason).toBe(want!.finish)
      expect((await stream.usage).outputTokens).toBe(want!.tokens.length)
      const shorter = await generateText({ ...asked, stopSequences: [want!.text.slice(6, 9)] })
      expect(want!.text.startsWith(shorter.text) && shorter.text.length < want!.text.length).toBe(true)
    })

    it('embeds', async () => {
      const { embed, embedMany } = (await import(name)) as typeof import('ai')
      const model = toAISDKEmbeddingModel(app, 'tiny')
      const { embeddings, usage } = await embedMany({ model, values: ['The heart', 'A lung'] })
      expect(embeddings.map(({ length }) => length)).toEqual([32, 32])
      expect(usage.tokens).toBeGreaterThan(2)
      const { embedding } = await embed({ model, value: 'The heart' })
      for (const [i, value] of embedding.entries()) expect(Math.abs(value - embeddings[0]![i]!)).toBeLessThan(1e-5)
    })

    it('is told what is refused, and cancels', async () => {
      const { generateText, streamText } = (await import(name)) as typeof import('ai')
      const ask = (options: object) =>
        generateText({ model: toAISDKModel(app, 'tiny'), prompt: 'x', maxRetries: 0, ...options })
      await expect(ask({ model: toAISDKModel(app, 'other') })).rejects.toThrow(/no model "other"/)
      await expect(ask({ prompt: 'word '.repeat(300) })).rejects.toThrow(/256/)
      const image = { type: 'file' as const, data: new Uint8Array([1]), mediaType: 'image/png' }
      await expect(ask({ prompt: undefined, messages: [{ role: 'user', content: [image] }] })).rejects.toThrow(/text/)
      await expect(ask({ providerOptions: { tunesmith: { wrong: 1 } } })).rejects.toThrow(/"wrong"/)
      const controller = new AbortController()
      const stream = streamText({
        model: toAISDKModel(app, 'tiny'),
        prompt: 'x',
        maxOutputTokens: 200,
        abortSignal: controller.signal,
        providerOptions: { tunesmith: { ignore_eos: true } },
        onError: () => {},
      })
      for await (const _ of stream.textStream) break
      controller.abort()
      for (let i = 0; engine.stats.running > 0; i++) {
        expect(i).toBeLessThan(1000)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })
  })
