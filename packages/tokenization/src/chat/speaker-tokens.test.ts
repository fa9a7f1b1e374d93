import { readFileSync } from 'node:fs'
import type { Message } from '@tunesmith/core'
import { describe, expect, test } from 'vitest'
import { buildExample } from '../example/build'
import { inspect } from '../inspect/inspect'
import { Tokenizer } from '../tokenizer'

const fixture = (name: string) => JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8'))
const speakers = ['<|user|>', '<|assistant|>', '<|observation|>', '<|system|>']
const golden = fixture('speaker-tokens.golden.json') as {
  template: string
  tools: Record<string, unknown>[]
  rows: Record<string, { messages: Message[]; text: string; said: string[] }>
}
const load = (config: object) => {
  const tokenizer = new Tokenizer({
    tokenizerJson: fixture('bytes.tokenizer.json'),
    config: { bos_token: '<s>', eos_token: '</s>', ...config },
  })
  tokenizer.addTokens(speakers.map((content) => ({ content, special: true })))
  return tokenizer
}
const tokenizer = load({ chat_template: golden.template })

describe('turns that the token of the next speaker ends', () => {
  test.each(Object.entries(golden.rows))("are trained as under TRL's template with tags: %s", (_, row) => {
    const { messages, text, said } = row
    const tools = messages.some(({ tool_calls }) => tool_calls) ? golden.tools : null
    for (const columns of [{ messages }, { prompt: messages.slice(0, -1), completion: messages.slice(-1) }]) {
      const example = buildExample(tokenizer, { ...columns, tools }, { lossOn: 'assistant' })
      expect(example.text).toBe(text)
      const trained: string[] = []
      for (const [i, label] of example.labels.entries()) {
        if (label === -100) continue
        if (i === 0 || example.labels[i - 1] === -100) trained.push('')
        trained[trained.length - 1] += tokenizer.decode([label])
      }
      expect(trained).toEqual(said)
    }
  })

  test('end in generation, and are what inspect says', () => {
    const ends = ['<|user|>', '<|observation|>']
    expect(tokenizer.endOfTurn()).toEqual({ tokens: ends, ids: ends.map((token) => tokenizer.tokenToId(token)) })
    const { messages } = golden.rows['one turn']!
    const { warnings, endOfTurn } = inspect(tokenizer, { messages }, { lossOn: 'assistant' })
    expect(warnings).toEqual([])
    expect(endOfTurn).toMatch(
      /^A turn ends with <\|user\|> \(\d+\) or <\|observation\|> \(\d+\), and so does generation$/,
    )
  })

  test('the completion holds the end, a message that is not to be learned does not', () => {
    const [question, answer] = golden.rows['one turn']!.messages as [Message, Message]
    const user = tokenizer.tokenToId('<|user|>')
    const { labels, inputIds } = buildExample(tokenizer, { prompt: [question], completion: [answer] })
    expect([labels.at(-1), inputIds.at(-1)]).toEqual([user, user])
    const unlearned = { ...answer, train: false }
    const masked = buildExample(tokenizer, { messages: [question, answer, question, unlearned] }, { lossOn: 'all' })
    expect([masked.labels.at(-1), masked.inputIds.at(-1)]).toEqual([-100, user])
  })

  test('a rendered chat is what the template prints, as in transformers', () => {
    const { messages, text } = golden.rows['one turn']!
    expect(tokenizer.applyChatTemplate(messages)).toBe(text.slice(0, -'<|user|>'.length))
    expect(tokenizer.applyChatTemplate(messages, { closeLastTurn: true })).toBe(text)
  })

  test.each([
    [
      'the beginning of text',
      '{% for m in messages %}{% if m.role == "user" %}<s><|user|>{% else %}<|assistant|>{% endif %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}',
    ],
    [
      'a token that opens every turn',
      '{% for m in messages %}<|user|>{{ m.role }}: {{ m.content }}{% endfor %}{% if add_generation_prompt %}<|user|>assistant: {% endif %}',
    ],
    [
      'words',
      '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}',
    ],
  ])('%s is no end of a turn', (_, chat_template) => {
    const other = load({ chat_template })
    expect(other.endOfTurn().tokens).toEqual([])
    const messages = [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Yo' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Yo' },
    ]
    const { text, labels } = buildExample(other, { messages }, { lossOn: 'assistant' })
    expect(text).toBe(other.applyChatTemplate(messages))
    expect(other.decode(labels.filter((label) => label !== -100))).toBe('YoYo')
  })
})
