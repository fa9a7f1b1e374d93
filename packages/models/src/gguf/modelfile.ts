import type { Tokenizer } from '@tunesmith/tokenization'
import type { GenerationDefaults } from '../generation/generation-config'

const SYSTEM = 'SYSTEM-PROBE'
const USER = 'USER-PROBE'
const ANSWER = 'ANSWER-PROBE'

/** `text` around the probes, or undefined when one is not there exactly once. */
function around(text: string, probes: readonly string[]): string[] | undefined {
  const parts: string[] = []
  let rest = text
  for (const probe of probes) {
    const pieces = rest.split(probe)
    if (pieces.length !== 2) return undefined
    parts.push(pieces[0]!)
    rest = pieces[1]!
  }
  return [...parts, rest]
}

/**
 * The chat template in Ollama's own language, found by rendering a chat and looking at what stands around the messages.
 *
 * @returns undefined when a turn looks different in other places of a chat, which that language cannot say with certainty.
 */
export function ollamaTemplate(tokenizer: Tokenizer): string | undefined {
  if (!tokenizer.chatTemplate) return undefined
  const render = (roles: string, addGenerationPrompt: boolean) => {
    const messages = [...roles].map((role) =>
      role === 's'
        ? { role: 'system', content: SYSTEM }
        : role === 'u'
          ? { role: 'user', content: USER }
          : { role: 'assistant', content: ANSWER },
    )
    const text = tokenizer.applyChatTemplate(messages, { addGenerationPrompt })
    // Ollama puts the beginning-of-text token there itself.
    const bos = tokenizer.bosToken
    return bos && tokenizer.framing.before[0] === tokenizer.bosTokenId && text.startsWith(bos)
      ? text.slice(bos.length)
      : text
  }
  try {
    const asked = around(render('u', true), [USER])
    const answered = around(render('ua', false), [USER, ANSWER])
    if (!asked || !answered) return undefined
    const [before, middle] = asked as [string, string]
    const end = answered[2]!
    if (answered[0] !== before || answered[1] !== middle) return undefined
    // A second turn must look like the first.
    if (render('uau', true) !== before + USER + middle + ANSWER + end + before + USER + middle) return undefined
    let system: string[] | undefined
    try {
      system = around(render('su', true), [SYSTEM, USER])
    } catch {
      // The template refuses system messages.
    }
    if (system && system[2] !== middle) return undefined
    const literals = [before, middle, end, ...(system ?? [])]
    if (literals.some((text) => text.includes('{{') || text.includes('"""'))) return undefined
    const start = system ? `{{ if .System }}${system[0]}{{ .System }}${system[1]}{{ else }}${before}{{ end }}` : before
    return `${start}{{ .Prompt }}${middle}{{ .Response }}${end}`
  } catch {
    return undefined
  }
}

/** A Modelfile for `ollama create`: the weights, the chat template, where an answer ends and how it is sampled. */
export function modelfile(file: string, tokenizer: Tokenizer, generation: GenerationDefaults): string {
  const template = ollamaTemplate(tokenizer)
  const ends = [...new Set([...generation.eosTokenIds, tokenizer.eosTokenId ?? -1])]
    .map((id) => tokenizer.idToToken(id))
    .filter((token) => token !== undefined && !token.includes('"'))
  const { temperature, topK, topP, minP, repetitionPenalty, doSample } = generation
  const parameters = {
    temperature: doSample === false ? 0 : temperature,
    top_k: topK,
    top_p: topP,
    min_p: minP,
    repeat_penalty: repetitionPenalty,
  }
  return [
    `FROM ./${file}`,
    ...(template === undefined
      ? tokenizer.chatTemplate
        ? ['# The chat template is in the GGUF file; Ollama looks there for one it knows.']
        : []
      : [`TEMPLATE """${template}"""`]),
    ...ends.map((token) => `PARAMETER stop "${token}"`),
    ...Object.entries(parameters).flatMap(([name, value]) =>
      value === undefined ? [] : [`PARAMETER ${name} ${value}`],
    ),
    '',
  ].join('\n')
}
