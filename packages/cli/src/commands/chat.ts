import { createInterface } from 'node:readline/promises'
import { selectBackend } from '@tunesmith/backend'
import { TunesmithError } from '@tunesmith/core'
import { type CausalLM, streamTokens } from '@tunesmith/models'
import type { ChatMessage, Tokenizer } from '@tunesmith/tokenization'
import { Command } from 'commander'
import { loadModelOrAdapter } from '../run/load'
import { number } from './numbers'

interface ChatOptions {
  base?: string
  system?: string
  maxNewTokens: number
  temperature: number
  topP: number
  seed: number
}

/** The latest turns that leave room for an answer; whole question-answer pairs are dropped from the front. */
function fit(tokenizer: Tokenizer, messages: ChatMessage[], room: number): number[] {
  const encode = () =>
    tokenizer.encode(tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true }), { addSpecialTokens: false })
      .ids
  let ids = encode()
  while (ids.length > room) {
    const first = messages.findIndex(({ role }) => role === 'user')
    if (messages.length - first < 3)
      throw new TunesmithError(`The message takes ${ids.length} tokens, and there is room for ${room}`, {
        code: 'invalid_data',
        remedy: 'Ask something shorter, or lower --max-new-tokens',
      })
    messages.splice(first, 2)
    ids = encode()
  }
  return [...ids]
}

async function chat(path: string, options: ChatOptions): Promise<void> {
  await selectBackend()
  const { model, tokenizer } = await loadModelOrAdapter(path, options.base)
  if (!tokenizer.chatTemplate)
    throw new TunesmithError('The tokenizer has no chat template', {
      code: 'unsupported',
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
  const fresh = (): ChatMessage[] => (options.system ? [{ role: 'system', content: options.system }] : [])
  let messages = fresh()
  if (terminal) readline.prompt()
  for await (const line of readline) {
    const text = line.trim()
    if (text === '/exit') break
    if (text === '/reset') messages = fresh()
    else if (text) {
      messages.push({ role: 'user', content: text })
      const prompt = fit(tokenizer, messages, model.config.maxPositionEmbeddings - options.maxNewTokens)
      messages.push({ role: 'assistant', content: await answer(model, tokenizer, prompt, options) })
    }
    if (terminal) readline.prompt()
  }
  readline.close()
}

/** Prints the answer as it comes. */
async function answer(model: CausalLM, tokenizer: Tokenizer, prompt: number[], options: ChatOptions): Promise<string> {
  const { maxNewTokens, temperature, topP, seed } = options
  const stops = [...model.config.eosTokenIds, ...(tokenizer.eosTokenId === undefined ? [] : [tokenizer.eosTokenId])]
  const sampling = temperature > 0 ? { doSample: true, temperature, topP, seed } : {}
  const stream = tokenizer.decodeStream({ skipSpecialTokens: true })
  let text = ''
  const write = (piece: string) => {
    text += piece
    process.stdout.write(piece)
  }
  for await (const { token, finish } of streamTokens(model, [prompt], {
    maxNewTokens,
    stopTokenIds: stops,
    ...sampling,
  }))
    if (finish !== 'stop') write(stream.push(token))
  write(stream.end())
  process.stdout.write('\n')
  return text.trim()
}

export function chatCommand(): Command {
  return new Command('chat')
    .description('talk to a model, or to an adapter on its base model')
    .argument('<path>', 'a folder of a model or an adapter, or a Hub id')
    .option('--base <model>', 'base model of an adapter, when it has moved')
    .option('--system <text>', 'system message')
    .option('--max-new-tokens <n>', 'longest answer', number, 256)
    .option('--temperature <t>', '0 always takes the most likely token', number, 0)
    .option('--top-p <p>', 'sample from the most likely tokens that reach p', number, 0.9)
    .option('--seed <n>', 'of the sampling', number, 0)
    .action(chat)
}
