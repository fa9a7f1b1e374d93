import { type Answer, type Conversation, newId, type Source, type Turn } from './conversation'
import type { Store } from './storage'

const PREFIX = 'tunesmith.chat.'
const FORMAT = 'tunesmith-conversations'

/** Conversations in the browser's storage, each under a key of its own, so that two tabs do not overwrite each other. */
export class History {
  constructor(private readonly store: Store) {}

  /** All that can be read, the latest first. */
  all(): Conversation[] {
    const keys = Array.from({ length: this.store.length }, (_, i) => this.store.key(i)!)
    return keys
      .filter((key) => key.startsWith(PREFIX))
      .flatMap((key) => {
        try {
          return [conversation(JSON.parse(this.store.getItem(key)!))]
        } catch {
          return []
        }
      })
      .sort((a, b) => b.changed - a.changed)
  }

  /** @throws {DOMException} `QuotaExceededError` when the browser has no room. */
  save(conversation: Conversation): void {
    this.store.setItem(PREFIX + conversation.id, JSON.stringify(conversation))
  }

  remove(id: string): void {
    this.store.removeItem(PREFIX + id)
  }

  export(): string {
    return `${JSON.stringify({ format: FORMAT, version: 1, conversations: this.all() }, null, 1)}\n`
  }

  /**
   * Adds the conversations of an exported file; of two with one id the later one stays.
   *
   * @returns how many were added.
   * @throws {Error} for the reader, when the file is another or the browser has no room; then nothing was added.
   */
  import(text: string): number {
    const read = (() => {
      try {
        const file = JSON.parse(text)
        if (file.format === FORMAT && file.version === 1) return (file.conversations as unknown[]).map(conversation)
      } catch {}
      throw new Error('This file is no export of conversations.')
    })()
    const known = new Map(this.all().map(({ id, changed }) => [id, changed]))
    const newer = read.filter(({ id, changed }) => changed > (known.get(id) ?? -1))
    const before = newer.map(({ id }) => ({ id, was: this.store.getItem(PREFIX + id) }))
    try {
      for (const each of newer) this.save(each)
    } catch {
      for (const { id } of before) this.remove(id)
      for (const { id, was } of before) if (was !== null) this.store.setItem(PREFIX + id, was)
      throw new Error('The browser has no room for what is in this file.')
    }
    return newer.length
  }
}

type Fields = Record<string, unknown>

function check<Value>(value: unknown, type: 'string' | 'number'): Value {
  if (typeof value !== type) throw new TypeError(`not a ${type}`)
  return value as Value
}
const text = (value: unknown) => check<string>(value, 'string')
const number = (value: unknown) => {
  const given = check<number>(value, 'number')
  // JSON has 1e999.
  if (!Number.isFinite(given)) throw new TypeError('not finite')
  return given
}
const list = (value: unknown): Fields[] => {
  if (!Array.isArray(value)) throw new TypeError('not a list')
  return value
}
const set = <Value>(name: string, value: Value | undefined) => (value === undefined ? {} : { [name]: value })
const given = <Value>(value: unknown, read: (value: unknown) => Value) => (value == null ? undefined : read(value))

/** Files and storage may hold anything: only what is named here goes on, each of its type. */
function conversation(value: unknown): Conversation {
  const { id, changed, turns } = value as Fields
  // What claims to come from the future would stay on top for ever.
  return { id: text(id), changed: Math.min(number(changed), Date.now()), turns: list(turns).map(turn) }
}

/** Its name is made anew: two turns of one name would be edited and drawn as one. */
const turn = ({ question, answers }: Fields): Turn => ({
  id: newId(),
  question: text(question),
  answers: list(answers).map(answer),
})

function answer({ model, text: said, end, error, sources, leftOut }: Fields): Answer {
  const ends = ['stop', 'length', 'stopped', 'error'] as const
  return {
    model: text(model),
    text: text(said),
    // What was under way when the page closed goes on no more.
    end: ends.find((known) => known === end) ?? 'stopped',
    ...set('error', given(error, text)),
    ...set('leftOut', given(leftOut, number)),
    ...set('sources', given(sources, sourcesOf)),
  }
}

const named = (names: unknown[]) => names.find((name) => typeof name === 'string' && name !== '') as string | undefined

/** Passages as a server sends them or the storage has them: of each what is known here, under whatever name it has there. */
export function sourcesOf(given: unknown): Source[] {
  const all = Array.isArray(given) ? given : []
  return all.flatMap((each: Fields | null) => {
    if (typeof each?.text !== 'string') return []
    const { title, source, document, id, number } = each
    return [
      {
        title: named([title, source, document, id]) ?? 'Source',
        text: each.text,
        ...(Number.isInteger(number) && { number: number as number }),
      },
    ]
  })
}
