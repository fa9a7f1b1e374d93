import { describe, expect, it } from 'vitest'
import { type Conversation, type Message, messagesOf, type Turn, titleOf } from './conversation'
import { eventData } from './events'
import { fit, QuestionTooLong } from './fit'
import { History } from './history'
import { loadSettings, saveSettings } from './settings'

const turn = (question: string, ...said: [model: string, text: string][]): Turn => ({
  id: question,
  question,
  answers: said.map(([model, text]) => ({ model, text, end: 'stop' })),
})

/** A browser's storage with room for so many characters. */
class Store {
  readonly all = new Map<string, string>()
  constructor(private readonly room = Number.POSITIVE_INFINITY) {}
  get length() {
    return this.all.size
  }
  key(i: number) {
    return [...this.all.keys()][i] ?? null
  }
  getItem(key: string) {
    return this.all.get(key) ?? null
  }
  setItem(key: string, value: string) {
    const others = [...this.all].filter(([name]) => name !== key).reduce((sum, [, text]) => sum + text.length, 0)
    if (others + value.length > this.room) throw new DOMException('full', 'QuotaExceededError')
    this.all.set(key, value)
  }
  removeItem(key: string) {
    this.all.delete(key)
  }
}

describe('what a model is sent', () => {
  it('is its own answers, else those of the other, and no turn without one', () => {
    const turns = [
      turn('a', ['x', 'from x'], ['y', 'from y']),
      turn('b', ['x', ''], ['y', 'only y']),
      turn('c', ['x', '']),
      turn('d'),
    ]
    const said = (model: string) => messagesOf(turns, model, ' ').map(({ content }) => content)
    expect(said('x')).toEqual(['a', 'from x', 'b', 'only y', 'd'])
    expect(said('y')).toEqual(['a', 'from y', 'b', 'only y', 'd'])
    expect(messagesOf([turn('q')], 'x', 'Be brief.')[0]).toEqual({ role: 'system', content: 'Be brief.' })
  })
})

describe('a conversation longer than what the model reads', () => {
  const count = async (messages: Message[]) => messages.reduce((sum, { content }) => sum + content.length, 0)
  const turns = Array.from({ length: 20 }, (_, i) => turn('q'.repeat(10), ['x', String(i % 10).repeat(10)]))
  turns.push(turn('the last'))

  it.each([0, 1, 2, 7, 19, 20])('loses its earliest turns, whole, and no more than it must: %i', async (left) => {
    const context = 8 + 20 * (20 - left) + 30
    const { messages, leftOut, tokens } = await fit(turns, 'x', '', { context, answer: 30, count })
    expect(leftOut).toBe(left)
    expect(messages.length).toBe(1 + 2 * (20 - left))
    expect(tokens).toBe(context - 30)
    expect(messages[0]!.role).toBe('user')
  })

  it('keeps the instructions, and asks with less room for the answer before it refuses', async () => {
    const room = { context: 20, answer: 10, count }
    const { messages, tokens } = await fit(turns, 'x', 'Be so.', room)
    expect(messages.map(({ content }) => content)).toEqual(['Be so.', 'the last'])
    expect(tokens).toBe(14)
    await expect(fit([turn('x'.repeat(20))], 'x', '', room)).rejects.toThrow(QuestionTooLong)
    const endless = { ...room, count: async () => Number.POSITIVE_INFINITY }
    await expect(fit(turns, 'x', 'Be so.', endless)).rejects.toThrow('far too long')
  })
})

describe('the history', () => {
  const conversation = (id: string, changed = 1): Conversation => ({ id, changed, turns: [turn('q', ['x', 'a'])] })
  const ids = (history: History) => history.all().map(({ id }) => id)

  it('comes back, the latest first, and leaves alone what is not its own', () => {
    const store = new Store()
    store.setItem('other', '{}')
    store.setItem('tunesmith.chat.broken', '{"id":1}')
    const history = new History(store)
    history.save(conversation('old', 1))
    history.save(conversation('new', 2))
    expect(ids(history)).toEqual(['new', 'old'])
    history.remove('new')
    expect(ids(history)).toEqual(['old'])
    expect(store.getItem('other')).toBe('{}')
  })

  it('is exported and imported; the later of two stays', () => {
    const history = new History(new Store())
    history.save(conversation('a', 5))
    const file = history.export()
    const other = new History(new Store())
    expect([other.import(file), other.import(file)]).toEqual([1, 0])
    other.save({ ...conversation('a', 9), turns: [] })
    expect(other.import(file)).toBe(0)
    expect(other.all()[0]!.changed).toBe(9)
  })

  it('refuses another file, and one with no room, and is then as it was', () => {
    const history = new History(new Store(600))
    history.save(conversation('a', 5))
    const with_ = (conversations: unknown) =>
      JSON.stringify({ format: 'tunesmith-conversations', version: 1, conversations })
    const bad = [
      '',
      '[]',
      'null',
      '{"format":1}',
      with_(1),
      with_([{ id: 1 }]),
      with_([{ id: 'x', changed: '1', turns: [] }]),
    ]
    bad.push(with_([{ id: 'x', changed: 1, turns: [{ question: 'q', answers: [{ model: {}, text: '' }] }] }]))
    bad.push(with_([{ id: 'x', changed: 1, turns: [] }]).replace('"changed":1', '"changed":1e999'))
    for (const text of bad) expect(() => history.import(text), text).toThrow('no export')
    const large = with_(Array.from({ length: 20 }, (_, i) => conversation(i ? `b${i}` : 'a', 7)))
    expect(() => history.import(large)).toThrow('no room')
    expect(history.all()).toMatchObject([{ id: 'a', changed: 5 }])
  })

  it('takes from a hostile file nothing but what it knows', () => {
    const history = new History(new Store())
    const hostile = {
      id: '__proto__',
      changed: 9e15,
      extra: 1,
      turns: [
        {
          id: 'same',
          question: '<script>',
          answers: [
            {
              model: 'x',
              text: 'a',
              end: 'evil',
              onclick: 'hit()',
              sources: [{ id: 7, text: 't', url: 'javascript:1' }],
            },
          ],
        },
        { id: 'same', question: 'q', answers: [] },
      ],
    }
    history.import(JSON.stringify({ format: 'tunesmith-conversations', version: 1, conversations: [hostile] }))
    const [read] = history.all()
    expect(read!.changed).toBeLessThanOrEqual(Date.now())
    expect(read!.turns[0]!.answers).toEqual([
      { model: 'x', text: 'a', end: 'stopped', sources: [{ title: 'Source', text: 't' }] },
    ])
    expect(read!.turns[0]!.id).not.toBe(read!.turns[1]!.id)
    expect(Object.keys(read!)).toEqual(['id', 'changed', 'turns'])
  })
})

it('settings that storage does not have, or has wrong, are the usual ones', () => {
  const store = new Store()
  expect(loadSettings(store)).toEqual({ system: '', sampling: {}, theme: 'system' })
  saveSettings(store, { system: 's', sampling: { temperature: 0.5, top_k: 3 }, theme: 'dark' })
  expect(loadSettings(store)).toEqual({ system: 's', sampling: { temperature: 0.5, top_k: 3 }, theme: 'dark' })
  store.setItem('tunesmith.settings', '{"system":1,"theme":"pink","sampling":{"temperature":"hot","evil":1}}')
  expect(loadSettings(store)).toEqual({ system: '', sampling: {}, theme: 'system' })
  store.setItem('tunesmith.settings', 'nothing')
  expect(loadSettings(store).theme).toBe('system')
})

it('a title is the first line, shortened at a word', () => {
  const titled = (question: string) => titleOf({ id: '', changed: 0, turns: [turn(question)] })
  expect(titled(' one\ntwo')).toBe('one')
  expect(titled('word '.repeat(20))).toBe(`${'word '.repeat(11)}word …`)
  expect(titleOf({ id: '', changed: 0, turns: [] })).toBe('New conversation')
})

it.each([1, 2, 5, 1000])('events come whole from pieces of %i bytes', async (size) => {
  const bytes = new TextEncoder().encode(
    ': ping\n\ndata: é\n\nevent: x\r\ndata:two\r\ndata: lines\r\n\r\ndata: [DONE]\n\ndata: cut',
  )
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let i = 0; i < bytes.length; i += size) controller.enqueue(bytes.slice(i, i + size))
      controller.close()
    },
  })
  expect(await all(eventData(body))).toEqual(['é', 'two\nlines', '[DONE]'])
})

async function all<Value>(values: AsyncIterable<Value>): Promise<Value[]> {
  const list: Value[] = []
  for await (const value of values) list.push(value)
  return list
}
