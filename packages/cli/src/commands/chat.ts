import { createInterface } from 'node:readline/promises'
import { Command } from '@commander-js/extra-typings'
import { selectBackend } from '@tunesmith/backend'
import { isTunesmithError, plainText, unsupported } from '@tunesmith/core'
import { type CausalLM, fitChat, streamText } from '@tunesmith/models'
import type { Message, Tokenizer } from '@tunesmith/tokenization'
import { TEMPLATE_NAMES } from '../run/config'
import { findModel, in4bit, readModel, setChatTemplate } from '../run/load'
import { count, number } from './numbers'
import { baseOption, chatTemplateOption, checkAnswerLength, in4bitOption } from './shared-options'

const command = () =>
  new Command('chat')
    .description('talk to a model, or to an adapter on its base model')
    .argument('<path>', 'a folder of a model or an adapter, or a Hub id')
    .addOption(baseOption())
    .addOption(in4bitOption())
    .addOption(chatTemplateOption())
    .option('--system <text>', 'system message')
    .option('--max-new-tokens <n>', 'longest answer; default 256, or half of a shorter context', count)
    .option('--temperature <t>', '0 always takes the most likely token', number, 0)
    .option('--top-p <p>', 'sample from the most likely tokens that reach p', number, 0.9)
    .option('--repetition-penalty <r>', 'above 1, what was said before becomes less likely', number)
    .option('--seed <n>', 'of the sampling', number, 0)
type ChatOptions = ReturnType<ReturnType<typeof command>['opts']>

async function chat(path: string, options: ChatOptions): Promise<void> {
  await selectBackend()
  const { model, tokenizer } = await readModel(await findModel(path, options), in4bit(options.loadIn4bit))
  const context = model.config.maxPositionEmbeddings
  const maxNewTokens = options.maxNewTokens ?? Math.min(256, Math.ceil(context / 2))
  checkAnswerLength(model, maxNewTokens)
  setChatTemplate(tokenizer, options.chatTemplate)
  if (!tokenizer.chatTemplate)
    throw unsupported('The tokenizer has no chat template', {
      where: path,
      remedy: `Name the one it was trained with, --chat-template ${TEMPLATE_NAMES.join(' or ')}; a base model that was not trained with any needs an adapter first`,
    })
  const terminal = process.stdin.isTTY === true
  if (terminal) console.log('Type a message; /reset starts over, /exit or Ctrl-D leaves.')
  const readline = createInterface({
    input: process.stdin,
    output: terminal ? process.stdout : undefined,
    prompt: '> ',
  })
  const fresh = (): Message[] => (options.system ? [{ role: 'system', content: options.system }] : [])
  let messages = fresh()
  if (terminal) readline.prompt()
  for await (const line of readline) {
    const text = line.trim()
    if (text === '/exit') break
    if (text === '/reset') messages = fresh()
    else if (text) {
      const asked: Message[] = [...messages, { role: 'user', content: text }]
      const fitted = fit(tokenizer, asked, context - maxNewTokens)
      if (fitted) {
        const reply = await answer(model, tokenizer, fitted.ids, { ...options, maxNewTokens })
        messages = [...fitted.messages, { role: 'assistant', content: reply }]
      }
    }
    if (terminal) readline.prompt()
  }
  readline.close()
}

/** A conversation that fits; undefined, after a word about it, when the last message alone is too long or the template refuses it. */
function fit(tokenizer: Tokenizer, messages: Message[], maxTokens: number) {
  try {
    const fitted = fitChat(tokenizer, messages, { maxTokens })
    if (fitted.dropped > 0) console.error(`(the oldest ${fitted.dropped} messages no longer fit and were left out)`)
    return fitted
  } catch (error) {
    if (!isTunesmithError(error) || error.code !== 'invalid_data') throw error
    console.error(`${error.message}. The message was not sent; the conversation goes on without it.`)
    return undefined
  }
}

/** Prints the answer as it comes. */
async function answer(model: CausalLM, tokenizer: Tokenizer, prompt: number[], options: ChatOptions): Promise<string> {
  const { maxNewTokens, temperature, topP, seed, repetitionPenalty } = options
  const sampling = temperature > 0 ? { doSample: true, temperature, topP, seed } : { doSample: false }
  let text = ''
  for await (const piece of streamText(model, tokenizer, [prompt], { maxNewTokens, repetitionPenalty, ...sampling })) {
    text += piece.text
    process.stdout.write(plainText(piece.text))
  }
  process.stdout.write('\n')
  return text.trim()
}

export const chatCommand = () => command().action(chat)
