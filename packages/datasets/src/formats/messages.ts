import { copyJsonSource, invalidData, type Message } from '@tunesmith/core'
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
    const { from, value, ...rest } = item
    const role = rest.role ?? ROLES[String(from)]
    if (typeof role !== 'string')
      throw fail(
        from === undefined
          ? `Message ${turn + 1} of "${column}" has no role`
          : `Message ${turn + 1} of "${column}" is from ${JSON.stringify(from)}, which is no known speaker`,
        `Known speakers: ${Object.keys(ROLES).join(', ')}`,
      )
    const content = rest.content ?? value
    if ((content === undefined || content === null) && rest.tool_calls === undefined)
      throw fail(`Message ${turn + 1} of "${column}" (${role}) has no content`)
    return copyJsonSource(item, { ...rest, role, content: content ?? null })
  })
  return system === undefined || messages[0]!.role === 'system'
    ? messages
    : [{ role: 'system', content: system }, ...messages]
}
