import { readFileSync } from 'node:fs'
import type { ExampleRow } from '@tunesmith/core'
import { describe, expect, test } from 'vitest'
import type { ExampleOptions } from '../example/options'
import { Tokenizer } from '../tokenizer'
import { inspect } from './inspect'
import { renderHtml, renderTerminal } from './render'

const json = (name: string) =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.tokenizer.json`, import.meta.url), 'utf8'))
const tokenizer = new Tokenizer({ tokenizerJson: json('bytes'), config: { bos_token: '<s>', eos_token: '</s>' } })
const codes = (row: ExampleRow, options: ExampleOptions = {}, model = tokenizer) =>
  inspect(model, row, options).warnings.map(({ code }) => code)
const row = { prompt: 'Where does the river go?\n', completion: 'To the <lake> 🦜.' }
const messages = [
  { role: 'user', content: 'Bread?' },
  { role: 'assistant', content: 'Yes.' },
  { role: 'user', content: 'Soup?' },
  { role: 'assistant', content: 'No.' },
]

describe('inspect', () => {
  test('shows every token once, and no warning for a good row', () => {
    const { tokens, trained, warnings, example } = inspect(tokenizer, row)
    expect(warnings).toEqual([])
    expect(trained).toBe(example.labels.filter((label) => label !== -100).length)
    expect(tokens.map(({ text }) => text).join('')).toBe(
      '<s>Where does the river go?\nTo the <lake> <0xF0><0x9F><0xA6><0x9C>.</s>',
    )
    const chars = new Tokenizer({ tokenizerJson: json('chars'), config: { bos_token: '<s>', eos_token: '</s>' } })
    const seen = inspect(chars, { prompt: 'The river', completion: ' runs past' }).tokens.map(({ text }) => text)
    expect(seen.join('')).toBe('<s> The river runs past</s>')
  })

  test('warns of what ruins fine-tunes', () => {
    expect(codes({ ...row, prompt: `<s>${row.prompt}` })).toEqual(['doubled-bos'])
    expect(codes(row, { appendEos: false })).toEqual(['no-eos-trained'])
    expect(codes(row, { maxLength: 5 })).toEqual(['fully-masked', 'truncated-answer'])
    expect(codes(row, { maxLength: inspect(tokenizer, row).tokens.length - 3 })).toEqual(['truncated-answer'])
    const padded = new Tokenizer({ tokenizerJson: json('bytes'), config: { eos_token: '</s>', pad_token: '</s>' } })
    expect(codes(row, {}, padded)).toEqual(['pad-is-eos'])
    expect(codes({ prompt: 'the riv', completion: 'er runs' }, { promptBoundary: 'whole' })).toEqual([
      'boundary-crossed',
    ])
    expect(codes({ messages }, { template: 'zephyr', lossOn: 'assistant' })).toEqual(['split-special-token'])
    expect(codes({ messages }, { template: 'vicuna', lossOn: 'assistant' })).toEqual([])
    const forgetful =
      '{% for m in messages %}{{ m.role if loop.last else m.role[:1] }}: {{ m.content }}{{ eos_token }}\n{% endfor %}'
    expect(codes({ messages }, { template: forgetful })).toEqual(['template-rewrites-turns'])
  })

  test('warns of calls and reasoning that are printed nowhere', () => {
    const call = { type: 'function', function: { name: 'look', arguments: { where: 'oven' } } }
    const said = [messages[0]!, { ...messages[1]!, tool_calls: [call], reasoning_content: 'Seen.' }]
    const { warnings } = inspect(tokenizer, { messages: said }, { template: 'zephyr', lossOn: 'assistant' })
    expect(warnings.map(({ code }) => code)).toEqual(['not-printed', 'split-special-token'])
    expect(warnings[0]!.message).toContain('messages[1].tool_calls, "reasoning_content" of any message')
    const printing =
      "{% for m in messages %}{{ m.reasoning_content or '' }}{{ m.content }}{{ (m.tool_calls or '') | tojson }}</s>{% endfor %}"
    expect(codes({ messages: said }, { template: printing, lossOn: 'assistant' })).toEqual([])
  })

  test('warns of fields of messages that nothing reads, such as the masks of other tools', () => {
    const template =
      "{% for m in messages %}{{ m.name }}{{ m.content }}{{ '</s>' if m.role == 'assistant' }}{% endfor %}"
    const [question, answer] = [messages[0]!, messages[1]!]
    const said = [
      { ...question, masked: true, name: 'Ann', empty: null },
      { ...answer, calculate_loss: 0, id: 'turn-1', train: true },
    ]
    const [warning, ...more] = inspect(tokenizer, { messages: said }, { template, lossOn: 'assistant' }).warnings
    expect(more).toEqual([])
    expect(warning).toMatchObject({
      message: expect.stringContaining('"masked" of any message, "calculate_loss" of any message:'),
      remedy: expect.stringContaining('"train" says which messages are learned'),
    })
  })

  test('warns of tools and documents that the template does not print', () => {
    const template =
      "{{ tools }}{% for m in messages %}{{ m.content }}{{ '</s>' if m.role == 'assistant' }}{% endfor %}"
    const said = { messages, tools: [{ name: 'look' }], documents: [{ title: 'Rivers', text: 'Long.' }] }
    const [warning] = inspect(tokenizer, said, { template, lossOn: 'assistant' }).warnings
    expect(warning).toMatchObject({
      code: 'not-printed',
      message: expect.stringContaining('does not print documents:'),
    })
    const printing = `{{ documents }}${template}`
    expect(codes(said, { template: printing, lossOn: 'assistant' })).toEqual([])
  })

  test('says what ends a turn, and takes whatever that is for an end', () => {
    expect(inspect(tokenizer, row).endOfTurn).toBeUndefined()
    const { endOfTurn } = inspect(tokenizer, { messages }, { template: 'zephyr' })
    expect(endOfTurn).toBe(`A turn ends with </s> (${tokenizer.eosTokenId}), and so does generation`)
    const chatml = inspect(tokenizer, { messages }, { template: 'chatml' })
    expect(renderTerminal(chatml)).toContain('A turn ends with <|im_end|> (not in the vocabulary)')
    expect(renderHtml(chatml)).toContain('A turn ends with &lt;|im_end|&gt;')
    const own = new Tokenizer({ tokenizerJson: json('bytes'), config: { eos_token: '</s>' } })
    own.addTokens([{ content: '#over#', special: true }])
    const template =
      "{% for m in messages %}{{ '#' if m.role == 'user' }}{{ m.content }}{{ '#over#' if m.role == 'assistant' }}{% endfor %}"
    expect(codes({ messages }, { template, lossOn: 'assistant' }, own)).toEqual([])
    expect(codes({ messages }, { template: template.replace('#over#', '!'), lossOn: 'assistant' }, own)).toEqual([
      'no-eos-trained',
    ])
  })

  test('prints to a terminal, with colours and without', () => {
    const seen = inspect(tokenizer, row)
    const plain = renderTerminal(seen, { color: false })
    expect(plain).toContain('Where does the river go?⏎\n[To the <lake> ')
    expect(plain).toMatch(/<\/s>\]\n\n\d+ tokens, \d+ trained$/)
    expect(plain).not.toContain('\u001b')
    const coloured = renderTerminal(inspect(tokenizer, { text: 'a\u001b[31m\tb' }, { appendEos: false }))
    expect(coloured).toContain('\\x1b')
    expect(coloured).toContain('⇥')
    expect(coloured).toContain('\u001b[32m')
    expect(coloured).toContain('warning:')
  })

  test('makes a page that text cannot break out of', () => {
    const html = renderHtml(
      [inspect(tokenizer, { text: '<script>alert("x")</script> & more' }), inspect(tokenizer, row)],
      'Rows <1>',
    )
    expect(html).toMatch(/^<!doctype html>/)
    expect(html).not.toContain('<script')
    expect(html).toContain('Rows &lt;1&gt;')
    expect(html.match(/<h2>/g)).toHaveLength(2)
    expect(html).toContain('trained"')
  })
})
