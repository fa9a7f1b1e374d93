import {
  type ExampleRow,
  IGNORE_INDEX,
  incompatible,
  invalidData,
  invalidOptions,
  type Message,
  parseOptions,
  refuseNestedTooDeep,
  type TunesmithError,
} from '@tunesmith/core'
import { fitContent } from '../chat/content-parts'
import { type ChatOptions, chatOptions } from '../chat/options'
import { maskOf, type RenderedChat } from '../chat/render-chat'
import type { Tokenizer } from '../tokenizer'
import { type ExampleOptions, exampleOptions, type ParsedExampleOptions } from './options'
import { chatOptionsOf, renderPrompt, textPromptIds } from './prompt'
import { maskedTurns, type Turns, trainedTurns } from './trained-turns'
import { turnWeights } from './turn-weights'

/** One tokenized row. */
export interface Example {
  /** `[tokens]` */
  inputIds: number[]
  /** `[tokens]`: the id to predict at this place, or -100 where the loss does not look. */
  labels: number[]
  /** The text the ids stand for, before any cut. */
  text: string
  /** Tokens cut off by `maxLength`. */
  truncated: number
  /** Trained tokens cut off by `maxLength`. */
  truncatedTrained: number
  /** Tokens before the completion, or 0 for a row without a prompt. */
  promptLength: number
  /** How the prompt and the whole fit: `split` when a merge would have crossed the boundary and was prevented. */
  boundary: 'none' | 'exact' | 'split' | 'crossed'
}

interface Built {
  ids: number[]
  text: string
  /** Whether the loss sees a token. */
  trained: (i: number) => boolean
  promptLength: number
  boundary: Example['boundary']
}

/**
 * Tokenizes one row and decides which tokens the loss sees, as TRL's SFTTrainer does, but for rows where TRL only warns:
 * see `promptBoundary`.
 *
 * @throws {TunesmithError} `invalid_data` when the row has none of the known columns or no token the policy asks for;
 *   `incompatible` when the chat template prints the prompt differently once the completion follows.
 */
export function buildExample(tokenizer: Tokenizer, row: ExampleRow, input: ExampleOptions = {}): Example {
  const options = parseOptions(exampleOptions, input, 'buildExample')
  const built = build(tokenizer, row, options)
  const labels = built.ids.map((id, i) => (built.trained(i) ? id : IGNORE_INDEX))
  const total = built.ids.length
  const cut = Math.max(0, total - (options.maxLength ?? total))
  const from = options.truncationMode === 'keep_end' ? cut : 0
  const kept = labels.slice(from, from + total - cut)
  const trained = (list: number[]) => list.reduce((n, label) => n + (label === IGNORE_INDEX ? 0 : 1), 0)
  return {
    inputIds: built.ids.slice(from, from + total - cut),
    labels: kept,
    text: built.text,
    truncated: cut,
    truncatedTrained: cut === 0 ? 0 : trained(labels) - trained(kept),
    promptLength: built.promptLength,
    boundary: built.boundary,
  }
}

function build(tokenizer: Tokenizer, row: ExampleRow, options: ParsedExampleOptions): Built {
  if (typeof row !== 'object' || row === null) throw invalid('A row must be an object of columns', String(row))
  refuseNestedTooDeep(row)
  if (typeof row.prompt === 'string') return plainPrompt(tokenizer, row.prompt, row.completion, options)
  if (Array.isArray(row.prompt)) return chatPrompt(tokenizer, row, row.prompt, options)
  if (Array.isArray(row.messages)) return chat(tokenizer, row, row.messages, options)
  if (typeof row.text === 'string') return plainText(tokenizer, row.text, options)
  throw invalid(
    'A row needs "prompt" and "completion", or "messages", or "text"',
    `columns ${Object.keys(row).join(', ')}`,
    'Rename the columns, or map the rows first',
  )
}

function invalid(what: string, where: string, remedy?: string): TunesmithError {
  return invalidData(what, { where, remedy })
}

function withEos(tokenizer: Tokenizer, text: string, options: ParsedExampleOptions): string {
  const eos = tokenizer.eosToken
  return options.appendEos && eos !== undefined && !text.endsWith(eos) ? text + eos : text
}

function refuseChatPolicy({ lossOn }: ParsedExampleOptions): void {
  if (lossOn !== 'assistant' && lossOn !== 'last-assistant') return
  throw invalidOptions(`lossOn: '${lossOn}' needs messages; this row is plain text`, {
    where: 'lossOn',
    remedy: "Use 'completion' or 'all' (of the trainer: leave assistantOnlyLoss off), or write the rows as messages",
  })
}

function plainText(tokenizer: Tokenizer, raw: string, options: ParsedExampleOptions): Built {
  refuseChatPolicy(options)
  const text = withEos(tokenizer, raw, options)
  return { ids: tokenizer.encode(text).ids, text, trained: () => true, promptLength: 0, boundary: 'none' }
}

function plainPrompt(tokenizer: Tokenizer, prompt: string, raw: unknown, options: ParsedExampleOptions): Built {
  if (typeof raw !== 'string') throw invalid('A row with a text "prompt" needs a text "completion"', 'completion')
  refuseChatPolicy(options)
  const completion = withEos(tokenizer, raw, options)
  const text = prompt + completion
  const ids = tokenizer.encode(text).ids
  const framed = textPromptIds(tokenizer, prompt)
  const rest = () => [...tokenizer.encodeContinuation(completion), ...tokenizer.framing.after]
  const trained = options.lossOn === 'all' ? () => true : (i: number) => i >= framed.length
  return { text, ...fit(tokenizer, framed, ids, rest, options), trained }
}

/**
 * The ids of prompt and completion together. Usually those of the whole text, of which the prompt's are the beginning.
 * Where a merge crosses the boundary they are not: the model will be asked with the prompt's own ids, so by default those
 * are kept and the completion's are appended.
 */
function fit(
  tokenizer: Tokenizer,
  promptIds: number[],
  ids: number[],
  rest: () => number[],
  options: ParsedExampleOptions,
): Pick<Built, 'ids' | 'promptLength' | 'boundary'> {
  const promptLength = promptIds.length
  if (promptIds.every((id, i) => id === ids[i])) return { ids, promptLength, boundary: 'exact' }
  // The library's engine cannot encode a continuation, so there the crossing is only reported.
  if (options.promptBoundary === 'whole' || tokenizer.engineInfo.name === 'library')
    return { ids, promptLength, boundary: 'crossed' }
  return { ids: [...promptIds, ...rest()], promptLength, boundary: 'split' }
}

function chatPrompt(tokenizer: Tokenizer, row: ExampleRow, prompt: Message[], options: ParsedExampleOptions): Built {
  if (!Array.isArray(row.completion))
    throw invalid('A row with a "prompt" of messages needs a "completion" of messages', 'completion')
  const chatting = chatOptionsOf(row, options)
  const turns = turnsOf(tokenizer, [...prompt, ...row.completion], chatting)
  const { messages } = turns
  const asked = renderPrompt(tokenizer, prompt, chatting)
  const whole = tokenizer.renderChat(messages, chatting)
  const { lossOn = 'completion' } = options
  if (lossOn === 'completion' && options.promptBoundary === 'split' && !whole.text.startsWith(asked.text))
    throw incompatible('The chat template prints the prompt differently once the completion follows', {
      where: 'prompt',
      remedy:
        "Use lossOn: 'assistant' (of the trainer: assistantOnlyLoss), or a template that leaves earlier turns as they are",
    })
  if (lossOn === 'completion') {
    const rest = () => tokenizer.encodeContinuation(whole.text.slice(asked.text.length))
    const fitted = fit(tokenizer, asked.ids, whole.ids, rest, options)
    const left = maskedTurns(turns)
    const masked = left && tokensOf(whole, fitted, asked.text.length, left)
    return { text: whole.text, ...fitted, trained: (i) => i >= fitted.promptLength && !masked?.[i] }
  }
  const fits = asked.ids.every((id, i) => id === whole.ids[i])
  return {
    ids: whole.ids,
    text: whole.text,
    trained: chatPolicy(whole, turns, lossOn),
    promptLength: asked.ids.length,
    boundary: fits ? 'exact' : 'crossed',
  }
}

function chat(tokenizer: Tokenizer, row: ExampleRow, messages: Message[], options: ParsedExampleOptions): Built {
  const { lossOn = 'all' } = options
  const chatting = chatOptionsOf(row, options)
  const turns = turnsOf(tokenizer, messages, chatting)
  const whole = tokenizer.renderChat(turns.messages, chatting)
  // A conversation without a prompt of its own is all completion.
  const trained = chatPolicy(whole, turns, lossOn === 'completion' ? 'all' : lossOn)
  return { ids: whole.ids, text: whole.text, trained, promptLength: 0, boundary: 'none' }
}

function turnsOf(tokenizer: Tokenizer, given: Message[], chatting: ChatOptions): Turns {
  const options = parseOptions(chatOptions, chatting, 'chat')
  const weights = turnWeights(given)
  return { tokenizer, messages: fitContent(tokenizer, given, options), options, weights }
}

function chatPolicy(
  chat: RenderedChat,
  turns: Turns,
  lossOn: 'assistant' | 'last-assistant' | 'all',
): (i: number) => boolean {
  if (lossOn === 'all') {
    const left = maskedTurns(turns)
    if (!left) return () => true
    const masked = maskOf(chat.offsets, left)
    return (i) => masked[i] === 0
  }
  const mask = trainedTurns(turns, lossOn, chat)
  if (!mask.includes(1))
    throw invalid(
      'The conversation has no token the assistant wrote that is to be learned',
      'messages',
      'Drop the row, or train on all of it: lossOn: "all" (of the trainer: completionOnlyLoss: false, without assistantOnlyLoss)',
    )
  return (i) => mask[i] === 1
}

/** The mask of spans of the whole text over ids that may differ from the whole's where the prompt ends. */
function tokensOf(
  whole: RenderedChat,
  { ids, promptLength }: Pick<Built, 'ids' | 'promptLength'>,
  boundary: number,
  spans: [number, number][],
): number[] {
  const { ids: all, offsets } = whole
  let same = 0
  while (same < ids.length - promptLength && ids.at(-1 - same) === all.at(-1 - same)) same++
  const places = ids.map((_, i): [number, number] => {
    const fromEnd = ids.length - i
    return fromEnd <= same ? offsets[all.length - fromEnd]! : [boundary, boundary + 1]
  })
  return maskOf(places, spans)
}
