import { answering } from './answering'
import { Api, type Model, Refused } from './api'
import { type Answer, type Conversation, newConversation, newId, type Turn } from './conversation'
import { History } from './history'
import { loadSettings, type Settings, saveSettings } from './settings'
import { remember, type Store } from './storage'

export interface State {
  /** `key`: the server wants one. */
  server: 'asked' | 'ready' | 'key' | 'silent'
  models: readonly Model[]
  /** Who answers. */
  model: string
  /** Who answers beside it; undefined for nobody. */
  beside?: string
  settings: Settings
  /** In the browser, the latest first; the open one is among them once it has a turn. */
  conversations: readonly Conversation[]
  open: Conversation
  answering: boolean
  /** For the reader, until the next is said: what went wrong apart from an answer. */
  notice?: string
  /** For screen readers. */
  spoken: string
}

/** Between two drawings of a growing answer. */
const FRAME_MS = 30

/** Bytes of a file that is read; a browser keeps some 5 MB, of two bytes a character. */
const LARGEST_FILE = 32e6

/** Everything that the page knows and can do, apart from how it looks. */
export class Talk {
  readonly #api = new Api()
  readonly #history: History
  readonly #listeners = new Set<() => void>()
  #stop: AbortController | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  state: State

  constructor(
    private readonly local: Store,
    private readonly session: Store,
  ) {
    this.#history = new History(local)
    const conversations = this.#history.all()
    this.state = {
      server: 'asked',
      models: [],
      model: '',
      settings: loadSettings(local),
      conversations,
      open: conversations.find(({ id }) => id === session.getItem('tunesmith.open')) ?? newConversation(),
      answering: false,
      spoken: '',
    }
    this.#api.key = session.getItem('tunesmith.key') ?? ''
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async connect(key?: string): Promise<void> {
    if (key !== undefined) this.#api.key = key
    try {
      const models = await this.#api.models()
      if (key !== undefined) remember(this.session, 'tunesmith.key', key)
      const known = (id: string | null) => models.find((model) => model.id === id)?.id
      // Who serves an adapter wants it asked; the model itself is for comparing.
      const first = models.find(({ parent }) => parent !== null) ?? models[0]
      const model = known(this.local.getItem('tunesmith.model')) ?? first?.id ?? ''
      const beside = known(this.state.beside ?? null)
      this.#set({ server: 'ready', models, model, beside, notice: undefined })
    } catch (error) {
      const wantsKey = error instanceof Refused && error.status === 401
      // That a key is wanted the form says; that the one given is wrong, it does not.
      const notice = wantsKey && !this.#api.key ? undefined : (error as Error).message
      this.#set({ server: wantsKey ? 'key' : 'silent', notice })
    }
  }

  choose(model: string): void {
    remember(this.local, 'tunesmith.model', model)
    this.#set({ model })
  }

  /** The model itself beside the adapter that is chosen, or its first adapter beside the model. */
  toggleBeside(): void {
    const { models, model, beside } = this.state
    const base = models.find(({ parent }) => parent === null)?.id
    const other = base === model ? models.find(({ id }) => id !== model)?.id : base
    this.#set({ beside: beside === undefined ? other : undefined })
  }

  chooseBeside(beside: string): void {
    this.#set({ beside })
  }

  /** What was told was read. */
  dismiss(): void {
    this.#set({ notice: undefined })
  }

  change(settings: Partial<Settings>): void {
    const all = { ...this.state.settings, ...settings }
    saveSettings(this.local, all)
    this.#set({ settings: all })
  }

  /** Opens a conversation, or a new one. What is under way in the old one is stopped. */
  open(id?: string): void {
    if (this.state.answering) this.save()
    this.stop()
    const open = this.state.conversations.find((each) => each.id === id) ?? newConversation()
    remember(this.session, 'tunesmith.open', open.id)
    this.#set({ open, notice: undefined, spoken: '' })
  }

  remove(id: string): void {
    if (this.state.open.id === id) this.open()
    this.#history.remove(id)
    this.#set({ conversations: this.#history.all() })
  }

  export(): string {
    return this.#history.export()
  }

  async importFile(file: Pick<File, 'size' | 'text'>): Promise<void> {
    try {
      if (file.size > LARGEST_FILE) throw new Error('This file is larger than what a browser keeps.')
      const added = this.#history.import(await file.text())
      this.#set({ conversations: this.#history.all(), notice: `${added} conversation${added === 1 ? '' : 's'} added.` })
    } catch (error) {
      this.#set({ notice: (error as Error).message })
    }
  }

  /** What another tab has changed. */
  reread(): void {
    this.#set({ conversations: this.#history.all() })
  }

  ask(question: string): void {
    this.#askIn(this.state.open.turns, question)
  }

  /** Asks the last question again, of whoever is chosen now. */
  again(): void {
    const { turns } = this.state.open
    const last = turns.at(-1)
    if (last) this.#askIn(turns.slice(0, -1), last.question)
  }

  /** Asks a turn's question in other words. The turns after it answered the old one, so they go. */
  edit(id: string, question: string): void {
    const { turns } = this.state.open
    const at = turns.findIndex((turn) => turn.id === id)
    if (at >= 0) this.#askIn(turns.slice(0, at), question)
  }

  stop(): void {
    this.#stop?.abort()
  }

  /** Writes the open conversation to the browser's storage. */
  save(): void {
    const { open } = this.state
    if (open.turns.length === 0) return
    try {
      this.#history.save(open)
      remember(this.session, 'tunesmith.open', open.id)
      this.#set({ conversations: this.#history.all() })
    } catch {
      this.#set({ notice: 'The browser has no room for more: export and delete conversations.' })
    }
  }

  async #askIn(before: readonly Turn[], question: string): Promise<void> {
    this.stop()
    const { models, model, beside, settings, open } = this.state
    const asked = [...new Set([model, beside])].flatMap((id) => models.find((each) => each.id === id) ?? [])
    if (asked.length === 0) return
    const turn: Turn = { id: newId(), question, answers: asked.map(({ id }) => ({ model: id, text: '' })) }
    const stop = new AbortController()
    this.#stop = stop
    let answers = turn.answers
    const show = () => {
      const turns = [...before, { ...turn, answers }]
      return { ...open, changed: Date.now(), turns }
    }
    this.#set({ open: show(), answering: true, notice: undefined, spoken: 'Answering' })
    this.save()
    const turns = [...before, turn]
    const { system, sampling } = settings
    let refused = 0
    const onRefused = (status: number) => {
      refused = status
    }
    const one = async (model: Model, i: number) => {
      const asking = { api: this.#api, model, turns, system, sampling, signal: stop.signal, onRefused }
      for await (const answer of answering(asking)) {
        answers = answers.with(i, answer)
        if (this.state.open.id === open.id && this.#stop === stop) this.#set({ open: show() }, true)
      }
    }
    await Promise.all(asked.map(one))
    if (this.#stop !== stop) return
    this.#stop = undefined
    this.#set({ answering: false, spoken: answers.map(spokenOf).join(' ') })
    if (this.state.open.id === open.id) this.save()
    // The key is no longer good, or the model is no longer there: what is now?
    if (refused === 401 || refused === 404) await this.connect()
  }

  #set(change: Partial<State>, soon = false): void {
    this.state = { ...this.state, ...change }
    if (soon) {
      this.#timer ??= setTimeout(() => this.#tell(), FRAME_MS)
      return
    }
    this.#tell()
  }

  #tell(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (const listener of this.#listeners) listener()
  }
}

function spokenOf({ model, text, end, error }: Answer): string {
  if (end === 'error') return `${model} gave no whole answer. ${error}`
  return `${end === 'stopped' ? `${model} was stopped` : `${model} answered`}: ${text}`
}
