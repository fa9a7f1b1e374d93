/** A passage that the answer was given to read. */
export interface Source {
  title: string
  text: string
  /** By which the answer cites it. */
  number?: number
}

/** Why an answer ended; `stopped` by the reader. */
export type End = 'stop' | 'length' | 'stopped' | 'error'

export interface Answer {
  model: string
  text: string
  /** Open while it is under way. */
  end?: End
  /** What went wrong, for the reader. */
  error?: string
  sources?: Source[]
  /** How many earlier turns did not fit into what the model reads. */
  leftOut?: number
}

/** A question and its answers: one, or one of each model side by side. */
export interface Turn {
  id: string
  question: string
  answers: Answer[]
}

export interface Conversation {
  id: string
  /** When it last changed, in milliseconds since 1970. */
  changed: number
  turns: Turn[]
}

export interface Message {
  role: 'system' | 'user' | 'assistant'
  content: string
}

export const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(36)).join('')
export const newConversation = (): Conversation => ({ id: newId(), changed: Date.now(), turns: [] })

/** The first line of the first question, shortened at a word. */
export function titleOf({ turns }: Conversation): string {
  const line = turns[0]?.question.trim().split('\n', 1)[0] ?? ''
  if (line.length <= 60) return line || 'New conversation'
  return `${line.slice(0, 60).replace(/\s+\S*$/, '')} …`
}

/** What a model said in a turn: its own answer, else the first that there is. */
export function saidIn({ answers }: Turn, model: string): string {
  const own = answers.find((answer) => answer.model === model && answer.text)
  return (own ?? answers.find(({ text }) => text))?.text ?? ''
}

/**
 * The turns as the model is sent them, the last one still without its answer. Earlier turns that have no answer are passed over: chat
 * templates want the roles to alternate.
 */
export function messagesOf(turns: readonly Turn[], model: string, system: string): Message[] {
  const messages: Message[] = system.trim() ? [{ role: 'system', content: system }] : []
  turns.forEach((turn, i) => {
    const said = i < turns.length - 1 ? saidIn(turn, model) : undefined
    if (said === '') return
    messages.push({ role: 'user', content: turn.question })
    if (said !== undefined) messages.push({ role: 'assistant', content: said })
  })
  return messages
}
