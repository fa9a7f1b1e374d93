import { isTunesmithError, type Message } from '@tunesmith/core'
import type { TokenizerState } from '../tokenizer-state'
import { endTags } from './end-tokens'

/**
 * Templates such as GLM's print no end of a turn: the token that names the next speaker (`<|user|>`, `<|observation|>`) is
 * what the model writes last, and what generation stops at. Such a token is special, is not the beginning of text, and differs
 * from the special token that the prompt for the assistant's turn begins with.
 *
 * @param text what follows a turn.
 * @returns the token with the white space before it; `''` when there is none.
 */
export function speakerToken(text: string, generationPrompt: string, tokenizer: TokenizerState): string {
  const special = specialTokens(tokenizer)
  const first = (from: string) => special.find((token) => from.startsWith(token))
  const [space] = /^\s*/.exec(text)!
  const next = first(text.slice(space.length))
  const own = first(generationPrompt.trimStart())
  const { bos_token: bos, eos_token: eos } = tokenizer.specialTokens.roles
  if (next === undefined || own === undefined || next === own || next === bos || next === eos) return ''
  return space + next
}

/** The texts of special tokens, the longest first. */
export function specialTokens({ json, specialTokens: { roles } }: TokenizerState): string[] {
  const texts = json.added_tokens.filter((token) => token.special).map(({ content }) => content)
  if (roles.eos_token) texts.push(roles.eos_token)
  return texts.sort((a, b) => b.length - a.length)
}

/** What would follow the assistant's last turn: the result of its call, or another question. */
export function followUp(turn: Message): Message {
  const calls = turn.tool_calls
  if (!Array.isArray(calls) || calls.length === 0) return { role: 'user', content: '?' }
  const [call] = calls as { id?: unknown; function?: { name?: unknown }; name?: unknown }[]
  return { role: 'tool', content: '?', tool_call_id: call?.id, name: call?.function?.name ?? call?.name }
}

/**
 * The {@link speakerToken} that ends the assistant's last turn and is not printed, since nobody speaks after it; `''` where the
 * template prints an end.
 *
 * @param text the conversation as it is printed.
 * @param print what the template makes of other messages.
 */
export function unprintedEnd(
  tokenizer: TokenizerState,
  messages: readonly Message[],
  text: string,
  print: (messages: readonly Message[], addGenerationPrompt: boolean) => string,
): string {
  const last = messages.at(-1)!
  if (last.role !== 'assistant' || endTags(text, specialTokens(tokenizer)).length > 0) return ''
  const longer = [...messages, followUp(last)]
  try {
    const [closed, open] = [print(longer, false), print(longer, true)]
    if (!closed.startsWith(text) || !open.startsWith(closed)) return ''
    return speakerToken(closed.slice(text.length), open.slice(closed.length), tokenizer)
  } catch (error) {
    if (isTunesmithError(error)) return ''
    throw error
  }
}
