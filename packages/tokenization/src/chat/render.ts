import {
  copyJsonSource,
  incompatible,
  invalidData,
  invalidOptions,
  type Message,
  nearestName,
  notFound,
  type TunesmithError,
  unsupported,
} from '@tunesmith/core'
import type { TokenizerState } from '../tokenizer-state'
import { hasGenerationTags, type RenderedTemplate, runTemplate } from './jinja/run'
import type { ParsedChatOptions } from './options'
import { unprintedEnd } from './speaker-tokens'
import { chatTemplates, type TemplateName } from './templates'

const OPEN_END = 'CONTINUE_FINAL_MESSAGE_TAG '

/**
 * The template a call means: the tokenizer's own or one of ours by name, a template itself, or the tokenizer's default.
 *
 * @throws {TunesmithError} `not_found`; `unsupported` for tools and documents under one of our templates, which print none.
 */
export function chooseTemplate(
  tokenizer: TokenizerState,
  options: Pick<ParsedChatOptions, 'template' | 'tools' | 'documents'>,
): string {
  const source = findTemplate(tokenizer, options)
  const ours = namesOfTemplates.get(source)
  if (ours) for (const what of ['tools', 'documents'] as const) if (options[what]?.length) throw unknownTo(ours, what)
  return source
}

const namesOfTemplates = new Map(Object.entries(chatTemplates).map(([name, source]) => [source, name]))

function findTemplate(
  tokenizer: TokenizerState,
  { template, tools }: Pick<ParsedChatOptions, 'template' | 'tools'>,
): string {
  const own = tokenizer.chatTemplates
  if (template !== undefined) {
    if (Object.hasOwn(own, template)) return own[template]!
    if (Object.hasOwn(chatTemplates, template)) return chatTemplates[template as TemplateName]
    if (/[{\n]/.test(template)) return template
    const nearest = nearestName(template, [...Object.keys(own), ...Object.keys(chatTemplates)])
    throw notFound(`There is no chat template "${template}"`, {
      where: tokenizer.where,
      remedy: `${nearest ? `Did you mean "${nearest}"? ` : ''}Ours are ${Object.keys(chatTemplates).join(', ')}`,
    })
  }
  if (tools && own.tool_use !== undefined) return own.tool_use
  if (own.default !== undefined) return own.default
  throw notFound('The tokenizer has no chat template', {
    where: tokenizer.where,
    remedy:
      'Name one of ours (template: "chatml"; chatTemplate of a configuration, --chat-template of a command), pass a template, or train on prompt and completion',
  })
}

function unknownTo(template: string, what: 'tools' | 'documents'): TunesmithError {
  const others = what === 'documents' ? ', or write the documents into the messages' : ''
  return unsupported(`The template "${template}" knows no ${what}`, {
    where: what,
    remedy: `Use the model's own template, or pass one that prints its ${what}${others}`,
  })
}

/** Renders a conversation; see `Tokenizer.applyChatTemplate`. */
export function renderTemplate(
  tokenizer: TokenizerState,
  messages: readonly Message[],
  options: ParsedChatOptions,
  track = false,
): RenderedTemplate {
  checkMessages(messages)
  const source = chooseTemplate(tokenizer, options)
  if (options.continueFinalMessage && options.addGenerationPrompt)
    throw invalidOptions('addGenerationPrompt and continueFinalMessage exclude each other', {
      where: 'applyChatTemplate',
      remedy: 'Use one of them: the first starts a new message, the second goes on with the last',
    })
  const { roles, additional, named } = tokenizer.specialTokens
  const variables = {
    ...roles,
    ...named,
    ...(additional.length > 0 ? { additional_special_tokens: additional } : {}),
    messages: options.continueFinalMessage ? withOpenEnd(messages) : messages,
    tools: options.tools ?? null,
    documents: options.documents ?? null,
    add_generation_prompt: options.addGenerationPrompt,
    ...options.variables,
  }
  if (options.variables) copyJsonSource(options.variables, variables)
  const rendered = runTemplate(source, variables, track)
  if (options.continueFinalMessage) return cutAtOpenEnd(rendered)
  if (!options.closeLastTurn || options.addGenerationPrompt || hasGenerationTags(source)) return rendered
  const open = { ...options, closeLastTurn: false }
  const end = unprintedEnd(tokenizer, messages, rendered.text, (longer, addGenerationPrompt) => {
    return renderTemplate(tokenizer, longer, { ...open, addGenerationPrompt }).text
  })
  return { ...rendered, text: rendered.text + end }
}

function checkMessages(messages: readonly Message[]): void {
  if (!Array.isArray(messages) || messages.length === 0)
    throw invalidData('A conversation needs at least one message', { where: 'messages' })
  for (const [i, message] of messages.entries())
    if (typeof message !== 'object' || message === null || typeof message.role !== 'string')
      throw invalidData('A message needs a role', {
        where: `messages[${i}]`,
        remedy: 'Write it as {"role": "user", "content": "..."}',
      })
}

/** The messages with a mark at the end of the last one's text, to find that place again after rendering. */
function withOpenEnd(messages: readonly Message[]): Message[] {
  const last = messages[messages.length - 1]!
  if (typeof last.content === 'string')
    return [...messages.slice(0, -1), copyJsonSource(last, { ...last, content: last.content + OPEN_END })]
  if (Array.isArray(last.content)) {
    const blocks = last.content.map((block) => ({ ...block }))
    const text = blocks.findLast((block) => typeof block.text === 'string')
    if (text) {
      text.text += OPEN_END
      return [...messages.slice(0, -1), copyJsonSource(last, { ...last, content: blocks })]
    }
  }
  throw invalidData('The last message has no text to continue', { where: `messages[${messages.length - 1}].content` })
}

function cutAtOpenEnd({ text, spans }: RenderedTemplate): RenderedTemplate {
  const at = text.lastIndexOf(OPEN_END.trimEnd())
  if (at === -1)
    throw incompatible('The last message does not appear in the rendered chat, so it cannot be continued', {
      where: 'chat template',
      remedy: 'The template drops or rewrites the last message; use addGenerationPrompt instead',
    })
  // A template that trims the message has also trimmed the mark's own space: then the spaces before it go too.
  const cut = text.startsWith(OPEN_END, at) ? text.slice(0, at) : text.slice(0, at).trimEnd()
  const kept = spans.filter(([start]) => start < cut.length)
  return { text: cut, spans: kept.map(([start, end]) => [start, Math.min(end, cut.length)]) }
}
