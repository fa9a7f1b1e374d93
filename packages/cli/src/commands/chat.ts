import { createInterface } from 'node:readline/promises'
import { Command } from '@commander-js/extra-typings'
import { selectBackend } from '@tunesmith/backend'
import { unsupported } from '@tunesmith/core'
import { type CausalLM, fitChat, streamText } from '@tunesmith/models'
import type { Message, Tokenizer } from '@tunesmith/tokenization'
import { loadModelOrAdapter } from '../run/load'
import { number } from './numbers'

const command = () =>
  new Command('chat')
    .description('talk to a model, or to an adapter on its base model')
    .argument('<path>', 'a folder of a model or an adapter, or a Hub id')
    .option('--base <model>', 'base model of an adapter, when it has moved')
    .option('--system <text>', 'system message')
    .option('--max-new-tokens <n>', 'longest answer', number, 256)
    .option('--temperature <t>', '0 always takes the most likely token', number, 0)
    .option('--top-p <p>', 'sample from the most likely tokens that reach p', number, 0.9)
    .option('--seed <n>', 'of the sampling', number, 0)
type ChatOptions = ReturnType<ReturnType<typeof command>['opts']>

async function chat(path: string, options: ChatOptions): Promise<void> {
  await selectBackend()
  const { model, tokenizer } = await loadModelOrAdapter(path, options.base)
  if (!tokenizer.chatTemplate)
    throw unsupported('The tokenizer has no chat template', {
      where: path,
      remedy: 'Chat with an instruction-tuned model, or save a chat_template.jinja beside tokenizer.json',
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
      messages.push({ role: 'user', content: text })
      const maxTokens = model.config.maxPositionEmbeddings - options.maxNewTokens
      const { ids, messages: kept } = fitChat(tokenizer, messages, { maxTokens })
      messages = kept
      messages.push({ role: 'assistant', content: await answer(model, tokenizer, ids, options) })
    }
    if (terminal) readline.prompt()
  }
  readline.close()
}

/** Prints the answer as it comes. */
async function answer(model: CausalLM, tokenizer: Tokenizer, prompt: number[], options: ChatOptions): Promise<string> {
  const { maxNewTokens, temperature, topP, seed } = options
  const sampling = temperature > 0 ? { doSample: true, temperature, topP, seed } : { doSample: false }
  let text = ''
  for await (const piece of streamText(model, tokenizer, [prompt], { maxNewTokens, ...sampling })) {
    text += piece.text
    process.stdout.write(piece.text)
  }
  process.stdout.write('\n')
  return text.trim()
}

export const chatCommand = () => command().action(chat)
