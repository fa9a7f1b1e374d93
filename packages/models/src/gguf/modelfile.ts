import type { Tokenizer } from '@tunesmith/tokenization'
import { answerEnds } from '../generation/answer-ends'
import type { GenerationDefaults } from '../generation/generation-config'

const SYSTEM = 'SYSTEM-PROBE'
const USER = 'USER-PROBE'
const ANSWER = 'ANSWER-PROBE'

/** `text` around the probes, or undefined when they are not there in this order and nowhere else. */
function around(text: string, probes: readonly string[]): string[] | undefined {
  const parts: string[] = []
  let rest = text
  for (const probe of probes) {
    const at = rest.indexOf(probe)
    if (at < 0) return undefined
    parts.push(rest.slice(0, at))
    rest = rest.slice(at + probe.length)
  }
  parts.push(rest)
  return parts.some((part) => [SYSTEM, USER, ANSWER].some((probe) => part.includes(probe))) ? undefined : parts
}

interface OllamaTemplate {
  template: string
  /** The system message that the chat template puts there when none is given. */
  system?: string
}

/**
 * The chat template in Ollama's own language, found by rendering a chat and looking at what stands around the messages.
 *
 * @returns undefined when a turn looks different in other places of a chat, which that language cannot say with certainty.
 */
export function ollamaTemplate(tokenizer: Tokenizer): OllamaTemplate | undefined {
  if (!tokenizer.chatTemplate) return undefined
  const contents: Record<string, [string, string]> = {
    s: ['system', SYSTEM],
    u: ['user', USER],
    a: ['assistant', ANSWER],
  }
  /** The text around the messages of these roles. */
  const render = (roles: string, addGenerationPrompt: boolean): string[] => {
    const messages = [...roles].map((letter) => ({ role: contents[letter]![0], content: contents[letter]![1] }))
    const text = tokenizer.applyChatTemplate(messages, { addGenerationPrompt })
    // Ollama puts the beginning-of-text token there itself.
    const { bosToken } = tokenizer
    const skip = bosToken && tokenizer.framing.before[0] === tokenizer.bosTokenId && text.startsWith(bosToken)
    const parts = around(
      skip ? text.slice(bosToken.length) : text,
      [...roles].map((letter) => contents[letter]![1]),
    )
    if (!parts) throw new Error('a message is not there exactly once')
    return parts
  }
  try {
    const [first, middle] = render('u', true) as [string, string]
    const end = render('ua', false)[2]!
    const [, before, between, after] = render('uau', true) as [string, string, string, string]
    if (!between.startsWith(end)) return undefined
    // What stands before a user's message in any turn; before the first there may be a system message of its own.
    const user = between.slice(end.length)
    const head = first.slice(0, first.length - user.length)
    // Answers begin with the space that some templates put before them.
    if (!first.endsWith(user) || after !== middle || !before.startsWith(middle) || before.slice(middle.length).trim())
      return undefined
    let system: { before: string; after: string } | undefined
    try {
      const [start, toUser, rest] = render('su', true) as [string, string, string]
      if (!toUser.endsWith(user) || rest !== middle) return undefined
      system = { before: start, after: toUser.slice(0, toUser.length - user.length) }
    } catch {
      // The template refuses system messages.
    }
    let usual: string | undefined
    if (head) {
      if (!system || !head.startsWith(system.before) || !head.endsWith(system.after)) return undefined
      usual = head.slice(system.before.length, head.length - system.after.length)
      if (!usual) return undefined
    }
    const literals = [user, middle, end, usual ?? '', ...(system ? [system.before, system.after] : [])]
    if (literals.some((text) => text.includes('{{') || text.includes('"""'))) return undefined
    const start = system ? `{{ if .System }}${system.before}{{ .System }}${system.after}{{ end }}` : ''
    const template = `${start}${user}{{ .Prompt }}${middle}{{ .Response }}${end}`
    return { template, ...(usual && { system: usual }) }
  } catch {
    return undefined
  }
}

/** A Modelfile for `ollama create`: the weights, an adapter on them, the chat template, where an answer ends and how it is sampled. */
export function modelfile(
  { from, adapter }: { from: string; adapter?: string },
  tokenizer: Tokenizer,
  generation: GenerationDefaults,
): string {
  const chat = ollamaTemplate(tokenizer)
  const { tokenIds, strings } = answerEnds({ generation }, tokenizer)
  const ends = [...tokenIds.map((id) => tokenizer.idToToken(id)), ...strings].filter(
    (token) => token !== undefined && !token.includes('"'),
  )
  const { temperature, topK, topP, minP, repetitionPenalty, doSample } = generation
  const parameters = {
    temperature: doSample === false ? 0 : temperature,
    top_k: topK,
    top_p: topP,
    min_p: minP,
    repeat_penalty: repetitionPenalty,
  }
  return [
    `FROM ${from}`,
    ...(adapter ? [`ADAPTER ${adapter}`] : []),
    ...(chat === undefined
      ? tokenizer.chatTemplate
        ? ['# The chat template is in the GGUF file; Ollama looks there for one it knows.']
        : []
      : [`TEMPLATE """${chat.template}"""`, ...(chat.system ? [`SYSTEM """${chat.system}"""`] : [])]),
    ...ends.map((token) => `PARAMETER stop "${token}"`),
    ...Object.entries(parameters).flatMap(([name, value]) =>
      value === undefined ? [] : [`PARAMETER ${name} ${value}`],
    ),
    '',
  ].join('\n')
}
