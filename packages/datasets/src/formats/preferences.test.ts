import { describe, expect, it } from 'vitest'
import { Dataset } from '../dataset/dataset'
import { formatPreferences, formatUnpaired } from './preferences'

const user = (content: string) => ({ role: 'user', content })
const assistant = (content: string) => ({ role: 'assistant', content })
const pairs = (rows: object[], options = {}) => formatPreferences(Dataset.fromRows(rows as never[]), options)
const unpaired = (rows: object[], options = {}) => formatUnpaired(Dataset.fromRows(rows as never[]), options)

describe('formatPreferences', () => {
  it('reads texts and messages with a prompt', async () => {
    const text = { prompt: 'Name a metal. ', chosen: 'Tin.', rejected: 'Wood.' }
    const { dataset, explanation } = await pairs([{ ...text, id: 3 }])
    expect(dataset.at(0)).toEqual(text)
    expect(explanation).toBe(
      'preference: prompt from "prompt", chosen from "chosen", rejected from "rejected"; not trained on: id',
    )
    const chat = { prompt: [user('Hi')], chosen: [assistant('Yo')], rejected: [assistant('No')] }
    expect((await pairs([chat])).dataset.at(0)).toEqual(chat)
    expect((await pairs([text], { style: 'chat', system: 'Be brief.' })).dataset.at(0)).toEqual({
      prompt: [{ role: 'system', content: 'Be brief.' }, user('Name a metal. ')],
      chosen: [assistant('Tin.')],
      rejected: [assistant('Wood.')],
    })
  })

  it('finds the prompt that both sides begin with, as TRL does', async () => {
    const chat = { chosen: [user('Hi'), assistant('Yo')], rejected: [user('Hi'), assistant('No')] }
    const read = { prompt: [user('Hi')], chosen: [assistant('Yo')], rejected: [assistant('No')] }
    expect((await pairs([chat])).dataset.at(0)).toEqual(read)
    // A prompt column that the sides repeat.
    expect((await pairs([{ ...chat, prompt: 'Hi' }])).dataset.at(0)).toEqual(read)
    const text = { chosen: 'The sky is blue.', rejected: 'The sky is green.' }
    expect((await pairs([text])).dataset.at(0)).toEqual({ prompt: 'The sky is', chosen: ' blue.', rejected: ' green.' })
    const beginning = {
      chosen: [user('Hi'), assistant('Yo'), user('a'), assistant('b')],
      rejected: [user('Hi'), assistant('Yo')],
    }
    expect((await pairs([beginning])).dataset.at(0).prompt).toEqual([user('Hi')])
  })

  it('hands on what the chat template prints', async () => {
    const row = { prompt: [user('Hi')], chosen: [assistant('Yo')], rejected: [assistant('No')], tools: '[]' }
    expect((await pairs([row])).dataset.at(0).tools).toBe('[]')
  })

  it('refuses rows that prefer nothing, naming them, and counts empty sides', async () => {
    const good = { prompt: 'a', chosen: 'b', rejected: 'c' }
    await expect(pairs([good, { ...good, rejected: 'b' }])).rejects.toThrow(/Both answers are the same.*row 1/)
    await expect(pairs([{ ...good, chosen: ' ', rejected: '' }])).rejects.toThrow(/Both answers are empty.*row 0/)
    await expect(pairs([good, { prompt: 'a', chosen: 'b' }])).rejects.toThrow(/no "rejected".*row 1/)
    await expect(pairs([{ ...good, rejected: null }])).rejects.toThrow(/"rejected" is null/)
    await expect(pairs([{ prompt: 'a', chosen: 'b' }])).rejects.toThrow(/no column "rejected"/)
    await expect(pairs([{ chosen: [user('a')], rejected: [user('b')] }])).rejects.toThrow(/begin with the same prompt/)
    const { dataset, emptySides } = await pairs([good, { ...good, rejected: '' }, { ...good, chosen: 'c' }], {
      onError: 'skip',
    })
    expect([dataset.length, dataset.skipped.count, emptySides]).toEqual([2, 1, 1])
  })
})

describe('formatUnpaired', () => {
  it('reads answers with a label, also as CSV holds it', async () => {
    const rows = [
      { prompt: 'a', completion: 'b', label: true },
      { prompt: 'a', completion: 'c', label: 'False' },
      { prompt: 'a', completion: 'd', label: 0 },
    ]
    const { dataset, explanation } = await unpaired(rows)
    expect(dataset.toArray().map(({ completion, label }) => [completion, label])).toEqual([
      ['b', true],
      ['c', false],
      ['d', false],
    ])
    expect(explanation).toBe(
      'promptCompletion: prompt from "prompt", completion from "completion"; good or bad from "label"',
    )
    const chat = [{ messages: [user('Hi'), assistant('Yo')], kto_tag: true }]
    expect((await unpaired(chat)).dataset.at(0)).toMatchObject({
      prompt: [user('Hi')],
      completion: [assistant('Yo')],
      label: true,
    })
    const named = [{ question: 'a', answer: 'b', good: true }]
    expect((await unpaired(named, { columns: { label: 'good' }, style: 'plain' })).dataset.at(0).label).toBe(true)
  })

  it('makes two rows of each pair, the chosen answers first', async () => {
    const rows = [1, 2].map((n) => ({ prompt: `p${n}`, chosen: `c${n}`, rejected: `r${n}` }))
    const { dataset } = await unpaired(rows)
    expect(dataset.toArray().map(({ completion, label }) => [completion, label])).toEqual([
      ['c1', true],
      ['c2', true],
      ['r1', false],
      ['r2', false],
    ])
  })

  it('refuses what says neither good nor bad', async () => {
    await expect(unpaired([{ prompt: 'a', completion: 'b' }])).rejects.toThrow(/no column that says/)
    await expect(unpaired([{ prompt: 'a', completion: 'b', label: 'maybe' }])).rejects.toThrow(
      /"maybe", neither.*row 0/,
    )
    await expect(unpaired([{ text: 'a', label: true }])).rejects.toThrow(/no prompt and answer/)
  })
})
