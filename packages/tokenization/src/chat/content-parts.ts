import { incompatible, isTunesmithError, type Message } from '@tunesmith/core'
import type { TokenizerState } from '../tokenizer-state'
import type { ParsedChatOptions } from './options'
import { chooseTemplate, renderTemplate } from './render'

type Part = Record<string, unknown>
/** The keys of a part that hold what is printed. */
const TEXTS = ['text', 'thinking']

/**
 * Messages as the chat template takes them. transformers hands lists of content parts on as they are. So does this where
 * the template prints each part's text; other templates would print the list as Python writes it, the first part alone, nothing,
 * or fail: there, parts of text become one text, or one part where the template prints lists only.
 *
 * @throws {TunesmithError} `incompatible` for parts of another kind (`thinking`) that the template does not print.
 */
export function fitContent(
  tokenizer: TokenizerState,
  messages: readonly Message[],
  options: ParsedChatOptions,
): readonly Message[] {
  if (!messages.some((message) => isParts(message?.content))) return messages
  return messages.map((message, i) => {
    const { content, role } = message ?? {}
    const form = isParts(content) ? formTaken(tokenizer, role, content, options) : 'parts'
    if (!isParts(content) || form === 'parts') return message
    const other = content.find((part) => typeof part.text !== 'string')
    if (other)
      throw incompatible(`The chat template does not print content of type ${JSON.stringify(other.type)} as text`, {
        where: `messages[${i}]`,
        remedy: 'Use a template that prints it, or write the message as one text',
      })
    const text = content.map((part) => part.text).join('')
    return { ...message, content: form === 'part' ? [{ type: 'text', text }] : text }
  })
}

/** Content that is a list of texts and thoughts; images and the like are the template's own affair. */
function isParts(content: unknown): content is Part[] {
  const isPart = (part: unknown) =>
    typeof part === 'object' && part !== null && TEXTS.some((key) => (part as Part)[key] !== undefined)
  return Array.isArray(content) && content.length > 0 && content.every(isPart)
}

/** What a template prints in whole: any number of parts, a text, or a list of one part. */
type Form = 'parts' | 'text' | 'part'

const known = new WeakMap<TokenizerState, Map<string, Form>>()
const MOST_KNOWN = 256

function formTaken(tokenizer: TokenizerState, role: string, parts: Part[], options: ParsedChatOptions): Form {
  const template = chooseTemplate(tokenizer, options)
  const shapes = new Map(parts.map((part) => [shapeOf(part), part]))
  const key = [template, role, ...[...shapes.keys()].sort()].join('\0')
  let forms = known.get(tokenizer)
  if (!forms || forms.size >= MOST_KNOWN) {
    forms = new Map()
    known.set(tokenizer, forms)
  }
  let form = forms.get(key)
  if (form === undefined) {
    const prints = (content: unknown) => printsContent(tokenizer, role, content, { ...options, template })
    const all = [...shapes.values()]
    if (prints([...all, ...all])) form = 'parts'
    else form = !prints('') && prints([{ type: 'text', text: '' }]) ? 'part' : 'text'
    forms.set(key, form)
  }
  return form
}

const shapeOf = (part: Part) =>
  JSON.stringify(part, (key, value) => (typeof value === 'string' && key !== 'type' ? '' : value))

/** Whether every text of such content is printed, and none of them within quotes as of a list. */
function printsContent(tokenizer: TokenizerState, role: string, like: unknown, options: ParsedChatOptions): boolean {
  let count = 0
  const fill = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') return TEXTS.includes(key) ? `Piece ${++count}.` : value
    if (Array.isArray(value)) return value.map((item) => fill(item, key))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, fill(item, name)]))
  }
  const content = fill(like, 'text')
  const isPrinted = (text: string) =>
    Array.from({ length: count }, (_, i) => `Piece ${i + 1}.`).every((piece) => {
      const at = text.indexOf(piece)
      return at !== -1 && !/['"]/.test(text[at + piece.length] ?? '')
    })
  const given = { ...options, addGenerationPrompt: false, continueFinalMessage: false, closeLastTurn: false }
  return [asText, asParts].some((say) => {
    try {
      return isPrinted(renderTemplate(tokenizer, sample(role, content, say), given).text)
    } catch (error) {
      if (isTunesmithError(error)) return false
      throw error
    }
  })
}

type Say = (role: string, text: string) => Message
const asText: Say = (role, content) => ({ role, content })
const asParts: Say = (role, text) => ({ role, content: [{ type: 'text', text }] })

/** A conversation in which a message of the role has this content, as late as it can be. */
function sample(role: string, content: unknown, say: Say): Message[] {
  const [question, answer] = [say('user', 'Where?'), say('assistant', 'There.')]
  if (role === 'assistant') return [question, { role, content }]
  if (role === 'user') return [{ role, content }, answer]
  if (role !== 'tool') return [{ role, content }, question, answer]
  const call = { id: 'call00001', type: 'function', function: { name: 'look', arguments: {} } }
  return [
    question,
    { role: 'assistant', content: '', tool_calls: [call] },
    { role, content, tool_call_id: call.id, name: 'look' },
    answer,
  ]
}
