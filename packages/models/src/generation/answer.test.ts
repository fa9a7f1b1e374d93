import { selectBackend } from '@tunesmith/backend'
import { Tokenizer } from '@tunesmith/tokenization'
import { beforeAll, expect, it } from 'vitest'
import { answerEnds, createModel } from '../index'
import { answerPrompts, tokenBudgetBatches } from './answer'
import { generateText } from './text'

const letters = [...'abcdefghijklmnop']
const tokenizer = new Tokenizer({
  tokenizerJson: {
    added_tokens: [],
    model: { type: 'BPE', vocab: Object.fromEntries(letters.map((letter, i) => [letter, i])), merges: [] },
    decoder: { type: 'Fuse' },
  },
})
const config = {
  ...{ model_type: 'llama', vocab_size: 16, hidden_size: 16, intermediate_size: 16, num_hidden_layers: 1 },
  ...{ num_attention_heads: 2, num_key_value_heads: 2, max_position_embeddings: 24 },
}
beforeAll(() => selectBackend())

it('answers in the order of the prompts, and passes over those that leave no room', async () => {
  const model = createModel(config, { seed: 3 })
  const prompts = [[1, 2], [], [3, 4, 5, 6, 7], new Array(24).fill(1), [8], new Array(23).fill(2)]
  const options = { maxNewTokens: 6, stopTokenIds: [] }
  const answers = (await answerPrompts(model, tokenizer, prompts, { ...options, batchSize: 2, tokenBudget: 12 }))!
  expect(answers.map(({ finish }) => finish)).toEqual(['length', 'skipped', 'length', 'skipped', 'length', 'length'])
  for (const i of [0, 2, 4, 5]) {
    const [alone] = await generateText(model, tokenizer, [prompts[i]!], options)
    expect(answers[i]).toEqual({ ...alone, text: alone!.text.trim() })
  }
  let asked = 0
  const stopped = () => ++asked > 1
  expect(await answerPrompts(model, tokenizer, prompts, { ...options, batchSize: 1, stopped })).toBeUndefined()
  model.dispose()
})

it('ends where the chat template ends a turn, whatever the EOS token is', async () => {
  const model = createModel(config, { seed: 3 })
  const prompt = [1, 2]
  const [free] = await generateText(model, tokenizer, [prompt], { maxNewTokens: 12, stopTokenIds: [] })
  const last = free!.tokens[4]!
  const at = free!.tokens.indexOf(last)
  const chat_template = "{% for m in messages %}{{ m.content }}{{ '<fin>' if m.role == 'assistant' }}{% endfor %}"
  const eos = [...letters.keys()].find((id) => !free!.tokens.includes(id))!
  model.generation = { ...model.generation, eosTokenIds: [eos] }
  /** The token at the end of the answer is spelled `text`. */
  const spelled = (text: string, special: boolean) =>
    new Tokenizer({
      tokenizerJson: {
        added_tokens: special ? [{ id: last, content: text, special: true }] : [],
        model: {
          type: 'BPE',
          vocab: Object.fromEntries(letters.map((letter, i) => [i === last ? text : letter, i])),
          merges: [],
        },
        decoder: { type: 'Fuse' },
      },
      config: { chat_template },
    })
  const answer = async (own: Tokenizer) => (await generateText(model, own, [prompt], { maxNewTokens: 12 }))[0]!
  const asToken = spelled('<fin>', true)
  expect(answerEnds(model, asToken)).toEqual({ tokenIds: [eos, last], strings: [] })
  expect(await answer(asToken)).toMatchObject({ tokens: free!.tokens.slice(0, at + 1), finish: 'stop' })
  // <end> is no token of its own: its text ends the answer.
  const asText = spelled('a<end>b', false)
  asText.chatTemplate = chat_template.replace('<fin>', '<end>')
  expect(answerEnds(model, asText)).toEqual({ tokenIds: [eos], strings: ['<end>'] })
  const cut = await answer(asText)
  expect(cut).toMatchObject({ tokens: free!.tokens.slice(0, at + 1), finish: 'stop' })
  expect(cut.text.endsWith('a')).toBe(true)
  const forever = await generateText(model, asText, [prompt], { maxNewTokens: 12, stopTokenIds: [] })
  expect(forever[0]!.tokens).toEqual(free!.tokens)
  model.dispose()
})

it('batches keep to both limits, and a long prompt goes alone', () => {
  const lengths = new Map([3, 50, 4, 5, 5, 2].entries())
  const batches = tokenBudgetBatches(lengths, { maxNewTokens: 5, batchSize: 3, tokenBudget: 20 })
  expect(batches).toEqual([[1], [3, 4], [2, 0], [5]])
  expect(tokenBudgetBatches(lengths, { maxNewTokens: 5, batchSize: 3, tokenBudget: 1000 })).toEqual([
    [1, 3, 4],
    [2, 0, 5],
  ])
})
