import { copyJsonSource, invalidData, type Message, parseExactJson } from '@tunesmith/core'
import { isObject, kindOf } from '../values'

/** ShareGPT's speakers and the names other tools gave them, as roles of a chat template. */
const ROLES: Record<string, string> = {
  human: 'user',
  user: 'user',
  gpt: 'assistant',
  chatgpt: 'assistant',
  bot: 'assistant',
  model: 'assistant',
  assistant: 'assistant',
  function_call: 'assistant',
  system: 'system',
  tool: 'tool',
  observation: 'tool',
  function_response: 'tool',
  function: 'tool',
}

/** A call as chat templates read it; arguments that are written as JSON text become what they say. */
function toolCall(call: unknown): unknown {
  if (!isObject(call)) return undefined
  const { function: inner, ...outer } = isObject(call.function) ? call : { function: call }
  const called = inner as Record<string, unknown>
  if (typeof called.name !== 'string') return undefined
  const args = called.arguments ?? called.parameters ?? {}
  const parsed = typeof args === 'string' ? (jsonOf(args) ?? args) : args
  const { parameters: _, ...rest } = called
  return copyJsonSource(call, {
    type: 'function',
    ...outer,
    function: copyJsonSource(called, { ...rest, arguments: parsed }),
  })
}

/** The object or list that a JSON text holds; undefined for another text. */
function jsonOf(text: string): object | undefined {
  try {
    const value = parseExactJson(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

/**
 * A message's content: text, or a list of parts, of which each has its `text` (or `thinking`) under that name; or the kind of a
 * part that is neither. The list stays one, since chat templates may print parts in their own way.
 */
function contentOf(content: unknown): { content: unknown } | { part: string } {
  if (!Array.isArray(content)) return { content }
  const parts: unknown[] = []
  for (const part of content) {
    const { value, ...given }: Record<string, unknown> = isObject(part) ? part : { text: part }
    const { type = 'text' } = given
    const isThought = type === 'thinking' && given.thinking !== undefined
    const text = given.text ?? value
    if (!isThought && (type !== 'text' || typeof text !== 'string')) return { part: String(type) }
    parts.push(isThought ? part : copyJsonSource(isObject(part) ? part : given, { ...given, type, text }))
  }
  return { content: parts.length === 0 ? '' : parts }
}

/**
 * Reads a list of messages, written with `role`/`content` or ShareGPT's `from`/`value`.
 *
 * @param system put in front unless the conversation starts with a system message of its own.
 */
export function readMessages(list: unknown, column: string, where: string | undefined, system?: string): Message[] {
  const fail = (what: string, remedy?: string) => invalidData(what, { where, remedy })
  if (!Array.isArray(list))
    throw fail(
      `"${column}" must be a list of messages, not ${kindOf(list)}`,
      'Write [{ "role": "user", "content": "..." }, ...]',
    )
  if (list.length === 0) throw fail(`"${column}" has no messages`, "Filter such rows out, or pass onError: 'skip'")
  const messages = list.map((item: unknown, turn): Message => {
    if (!isObject(item)) throw fail(`Message ${turn + 1} of "${column}" must be an object, not ${kindOf(item)}`)
    const { from, value, function_call: legacyCall, ...rest } = item
    const place = `Message ${turn + 1} of "${column}"`
    const speaker = rest.role ?? from
    const role = ROLES[String(speaker)] ?? rest.role
    if (typeof role !== 'string')
      throw fail(
        speaker === undefined
          ? `${place} has no role`
          : `${place} is from ${JSON.stringify(speaker)}, which is no known speaker`,
        `Known speakers: ${Object.keys(ROLES).join(', ')}`,
      )
    const said = contentOf(rest.content ?? value)
    if ('part' in said)
      throw fail(
        `${place} (${role}) has content of type "${said.part}", and models are trained on text alone`,
        "Filter such rows out, or pass onError: 'skip'",
      )
    const { content } = said
    if (speaker === 'function_call') {
      const calls = typeof content === 'string' ? jsonOf(content) : content
      const list = (Array.isArray(calls) ? calls : [calls]).map(toolCall)
      if (list.includes(undefined))
        throw fail(`${place} is a function call, but not JSON of the form {"name": ..., "arguments": ...}`)
      return copyJsonSource(item, { ...rest, role, content: null, tool_calls: list })
    }
    const calls = Array.isArray(rest.tool_calls) ? rest.tool_calls : isObject(legacyCall) ? [legacyCall] : undefined
    if ((content === undefined || content === null) && !calls) throw fail(`${place} (${role}) has no content`)
    const message: Message = { ...rest, role, content: content ?? null }
    if (calls) message.tool_calls = calls.map((call) => toolCall(call) ?? call)
    return copyJsonSource(item, message)
  })
  return system === undefined || messages[0]!.role === 'system'
    ? messages
    : [{ role: 'system', content: system }, ...messages]
}
