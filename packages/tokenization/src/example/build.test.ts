import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { randomText } from '../testing/random-text'
import { Tokenizer } from '../tokenizer'
import { buildExample, type Example } from './build'
import { buildExamples } from './build-many'

const json = (name: string) =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.tokenizer.json`, import.meta.url), 'utf8'))
const load = (name: string) =>
  new Tokenizer({ tokenizerJson: json(name), config: { bos_token: '<s>', eos_token: '</s>' } })
const bytes = load('bytes')
const chars = load('chars')

const trainedText = (tokenizer: Tokenizer, { labels }: Example) =>
  tokenizer.decode(labels.filter((label) => label !== -100))

const deep = Array.from({ length: 100_000 }).reduce((inner: unknown) => [inner], 1)

test.each([0, 2])('what is nested too deep is refused with its row, in %i threads', async (threads) => {
  const row = { messages: [{ role: 'user', content: 'Hi' }] }
  const rows = [row, { messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi', more: deep }] }] }]
  await expect(
    buildExamples(bytes, rows as never, { template: 'chatml', lossOn: 'all', threads }),
  ).rejects.toMatchObject({
    code: 'invalid_data',
    where: 'row 1',
  })
})

test('steps of a tokenizer nested too deep are refused by name', () => {
  const steps = (type: string, list: string) =>
    Array.from({ length: 20_000 }).reduce((inner: unknown) => ({ type, [list]: [inner] }), { type: 'NFC' })
  for (const [step, list] of [
    ['normalizer', 'normalizers'],
    ['pre_tokenizer', 'pretokenizers'],
    ['post_processor', 'processors'],
    ['decoder', 'decoders'],
  ] as const)
    expect(() => new Tokenizer({ tokenizerJson: { ...json('bytes'), [step]: steps('Sequence', list) } })).toThrow(
      expect.objectContaining({ code: 'invalid_file', message: expect.stringContaining(`"${step}"`) }),
    )
})

describe('buildExample', () => {
  test('the model is asked with the ids it was trained with, wherever the boundary lies', () => {
    let split = 0
    for (const tokenizer of [bytes, chars])
      for (let i = 0; i < 800; i++) {
        const whole = [...`${randomText(i, ['The river', 'runs', ' past', 'bread'])}the old mill`]
        const at = 1 + (i % (whole.length - 1))
        const [prompt, completion] = [whole.slice(0, at).join(''), whole.slice(at).join('')]
        const example = buildExample(tokenizer, { prompt, completion })
        const asked = tokenizer.encode(prompt).ids
        expect(example.inputIds.slice(0, asked.length)).toEqual(asked)
        expect(example.labels.slice(0, asked.length)).toEqual(asked.map(() => -100))
        expect(example.labels.slice(asked.length)).toEqual(example.inputIds.slice(asked.length))
        expect(example.boundary === 'exact' || example.boundary === 'split').toBe(true)
        if (example.boundary === 'split') split++
        // Added tokens that swallow spaces aside, nothing of the text is lost or added by the cut.
        if (!/<|▁/.test(whole.join('')))
          expect(tokenizer.decode(example.inputIds, { skipSpecialTokens: true })).toBe(
            tokenizer.decode(tokenizer.encode(prompt + completion).ids, { skipSpecialTokens: true }),
          )
      }
    expect(split).toBeGreaterThan(100)
  })

  test("'whole' keeps the ids of the whole text, as TRL does, and says so", () => {
    const row = { prompt: 'the riv', completion: 'er runs' }
    const example = buildExample(bytes, row, { promptBoundary: 'whole' })
    expect(example.inputIds).toEqual(bytes.encode('the river runs</s>').ids)
    expect(example.boundary).toBe('crossed')
  })

  test('appends EOS once', () => {
    for (const completion of [' to the lake', ' to the lake</s>']) {
      const { inputIds, labels } = buildExample(bytes, { prompt: 'The river runs', completion })
      expect(inputIds.filter((id) => id === bytes.eosTokenId)).toHaveLength(1)
      expect(labels.at(-1)).toBe(bytes.eosTokenId)
    }
    expect(buildExample(bytes, { text: 'bread' }, { appendEos: false }).inputIds).toEqual(bytes.encode('bread').ids)
  })

  const messages = [
    { role: 'system', content: 'Short.' },
    { role: 'user', content: 'Bread?' },
    { role: 'assistant', content: 'Yes.' },
    { role: 'user', content: 'Soup?' },
    { role: 'assistant', content: 'No.' },
  ]

  test('policies for conversations', () => {
    const trained = (lossOn: 'assistant' | 'last-assistant', template = 'chatml') =>
      trainedText(bytes, buildExample(bytes, { messages }, { lossOn, template }))
    expect(trained('assistant')).toBe('Yes.<|im_end|>No.<|im_end|>')
    expect(trained('last-assistant')).toBe('No.<|im_end|>')
    expect(trained('assistant', 'vicuna')).toBe(' Yes.</s> No.</s>')
    const all = buildExample(bytes, { messages }, { template: 'chatml' })
    expect(all.labels).toEqual(all.inputIds)
    const asked = buildExample(
      bytes,
      { prompt: messages.slice(0, 4), completion: messages.slice(4) },
      { template: 'chatml' },
    )
    expect(trainedText(bytes, asked)).toBe('No.<|im_end|>\n')
    const only = { prompt: messages.slice(0, 4), completion: messages.slice(4) }
    expect(trainedText(bytes, buildExample(bytes, only, { template: 'chatml', lossOn: 'assistant' }))).toBe(
      'Yes.<|im_end|>No.<|im_end|>',
    )
  })

  test('a template without tags, its mask worked out', () => {
    const template =
      "{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}{{ eos_token if m.role == 'assistant' }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    const example = buildExample(bytes, { messages }, { lossOn: 'assistant', template })
    expect(trainedText(bytes, example)).toBe(' Yes.</s> No.</s>')
    const rewriting = '{% for m in messages | reverse %}{{ m.content | length }} {% endfor %}'
    expect(() => buildExample(bytes, { messages }, { lossOn: 'assistant', template: rewriting })).toThrow(
      /cannot be told/,
    )
  })

  test('cuts from either end and counts what is lost', () => {
    const row = { prompt: 'The river runs', completion: ' past the old mill' }
    const whole = buildExample(bytes, row)
    const start = buildExample(bytes, row, { maxLength: whole.inputIds.length - 2 })
    expect(start.inputIds).toEqual(whole.inputIds.slice(0, -2))
    expect([start.truncated, start.truncatedTrained]).toEqual([2, 2])
    const end = buildExample(bytes, row, { maxLength: whole.inputIds.length - 2, truncationMode: 'keep_end' })
    expect(end.labels).toEqual(whole.labels.slice(2))
    expect([end.truncated, end.truncatedTrained]).toEqual([2, 0])
  })

  test('clear errors', () => {
    expect(() => buildExample(bytes, { question: 'x' })).toThrow(/columns question/)
    expect(() => buildExample(bytes, { prompt: 'x' })).toThrow(/completion/)
    expect(() => buildExample(bytes, { text: 'x' }, { lossOn: 'assistant' })).toThrow(/needs messages/)
    expect(() =>
      buildExample(bytes, { messages: messages.slice(0, 2) }, { lossOn: 'assistant', template: 'chatml' }),
    ).toThrow(/no token the assistant/)
    expect(() => buildExample(bytes, { messages, tools: '{' }, { template: 'chatml' })).toThrow(/Not valid JSON/)
    expect(() => buildExample(bytes, { text: 'x' }, { lossOnn: 'all' } as never)).toThrow(/did you mean "lossOn"/)
    const rewriting =
      "{% for m in messages %}{% if loop.last %}{{ m.content }}{% else %}.{% endif %}{% endfor %}{{ '>' if add_generation_prompt }}"
    const chat = { prompt: messages.slice(0, 2), completion: messages.slice(2, 3) }
    expect(() => buildExample(bytes, chat, { template: rewriting })).toThrow(/prints the prompt differently/)
  })
})
