import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Tokenizer } from '../tokenizer'
import { chatTemplates } from './templates'

const fixture = (name: string) => JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8'))
const styles = fixture('turn-templates.json') as Record<string, { lines: string[] }>
const load = (config: object = {}) =>
  new Tokenizer({
    tokenizerJson: fixture('bytes.tokenizer.json'),
    config: { bos_token: '<s>', eos_token: '</s>', ...config },
  })
const tokenizer = load()

describe('the tokens that end a turn', () => {
  test.each([
    ['thinking', ['<|im_end|>']],
    ['opened thought', ['<|end_of_text|>']],
    ['two ends', ['<|END_RESPONSE|>', '<|END_OF_TURN|>', '<|END_ACTION|>']],
    ['opening token', []],
    ['moved tools', ['</s>']],
    // <|end|> ends a thought and turns that others follow: no model may stop there.
    ['channels', ['<|return|>', '<|call|>']],
    ['no end', []],
    ['no prompt after tools', ['<｜end▁of▁sentence｜>', '<｜tool▁calls▁end｜>']],
    ['end of message', ['<|eot_id|>', '<|eom_id|>']],
    ['closed conversation', ['<|end|>']],
    ['end at the end', ['<|end|>', '</s>']],
    ['always asked', ['<|eot_id|>']],
    ['no prompt', ['<|im_end|>']],
    ['between turns', ['</s>']],
    ['words', ['</s>']],
    ['parts', ['</s>']],
  ])('%s', (name, tokens) => {
    const template = styles[name]!.lines.join('')
    const stripped = template.replaceAll(/\{% (end)?generation %\}/g, '')
    expect(tokenizer.endOfTurn({ template }).tokens).toEqual(tokens)
    expect(tokenizer.endOfTurn({ template: stripped }).tokens).toEqual(tokens)
  })

  test('of the shipped templates', () => {
    const ends = Object.fromEntries(
      Object.keys(chatTemplates).map((template) => [template, tokenizer.endOfTurn({ template }).tokens.join()]),
    )
    expect(ends).toEqual({
      chatml: '<|im_end|>',
      zephyr: '</s>',
      openchat: '<|end_of_turn|>',
      'llama-2': '</s>',
      'mistral-instruct': '</s>',
      gemma: '<end_of_turn>',
      'llama-3.1': '<|eot_id|>',
      'phi-3': '<|end|>',
      alpaca: '</s>',
      vicuna: '</s>',
      plain: '</s>',
    })
  })

  test('ids are those of the vocabulary; a token of any name counts when it is special', () => {
    expect(tokenizer.endOfTurn()).toEqual({ tokens: [], ids: [] })
    expect(tokenizer.endOfTurn({ template: 'zephyr' })).toEqual({
      tokens: ['</s>'],
      ids: [tokenizer.eosTokenId],
    })
    expect(tokenizer.endOfTurn({ template: 'openchat' })).toEqual({ tokens: ['<|end_of_turn|>'], ids: [] })
    const own = load({
      chat_template:
        "{% for m in messages %}{{ m.content }}{{ '#a#' if m.role == 'user' else '#fin##z#' }}{% endfor %}",
    })
    expect(own.endOfTurn().tokens).toEqual([])
    own.addTokens([
      { content: '#fin#', special: true },
      { content: '#z#', special: true },
    ])
    expect(own.endOfTurn()).toEqual({ tokens: ['#fin#', '#z#'], ids: [own.tokenToId('#fin#'), own.tokenToId('#z#')] })
  })

  test('a template that takes lists of parts only, or none of the samples', () => {
    const template =
      "{% for m in messages %}{% if m.content is string %}{{ raise_exception('lists only') }}{% endif %}{% for p in m.content %}{{ p.text }}{% endfor %}</s>{% endfor %}"
    expect(tokenizer.endOfTurn({ template }).tokens).toEqual(['</s>'])
    const silent =
      '{% for m in messages %}{% for p in m.content %}{% if p.type == "text" %}{{ p.text }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}'
    expect(tokenizer.endOfTurn({ template: silent }).tokens).toEqual(['<end_of_utterance>'])
    expect(tokenizer.endOfTurn({ template: "{{ raise_exception('no') }}" }).tokens).toEqual([])
  })
})
