import { basename, resolve } from 'node:path'
import { Command } from '@commander-js/extra-typings'
import { selectBackend } from '@tunesmith/backend'
import { invalidOptions } from '@tunesmith/core'
import { resolveModelFolder } from '@tunesmith/hub'
import { Engine, loadModel } from '@tunesmith/models'
import { engineAdapters, PeftModel } from '@tunesmith/peft-lora'
import { createApp, startServer } from '@tunesmith/serve'
import { Tokenizer } from '@tunesmith/tokenization'
import { groundedIn } from '../run/grounding'
import { findModel, in4bit, setChatTemplate } from '../run/load'
import { openNamedIndex } from '../run/open-index'
import { count } from './numbers'
import { baseOption, chatTemplateOption, in4bitOption } from './shared-options'

const collect = (value: string, all: string[]) => [...all, value]

const command = () =>
  new Command('serve')
    .description("a chat page, and OpenAI's API for programs, with a model and any number of adapters at once")
    .argument('<path>', 'a folder of a model or an adapter, or a Hub id')
    .option(
      '--adapter <name=dir>',
      'an adapter that clients choose as a model of this name; may be repeated',
      collect,
      [],
    )
    .option('--allow-adapter-loading', 'lets clients load and unload adapters; needs --adapter-dir')
    .option('--adapter-dir <dir>', 'the folder that they may load adapters from')
    .addOption(baseOption())
    .addOption(in4bitOption())
    .addOption(chatTemplateOption())
    .option(
      '--index <index>',
      'answer chats from this index, made by `tunesmith index`; sources come beside the answer',
    )
    .option('--name <name>', 'what clients call the model; default the name of its folder')
    .option('--notice <text>', 'what the chat page tells its readers under the message field')
    .option('--host <address>', 'where to listen', '127.0.0.1')
    .option('--port <n>', 'default 8000; 0 takes a free one', (text) => (text === '0' ? 0 : count(text)), 8000)
    .option('--api-key <key>', 'a key that clients must send; may be repeated; also TUNESMITH_API_KEY', collect, [])
    .option('--cors-origin <origin>', 'a site whose pages may ask; may be repeated', collect, [])
    .option(
      '--allowed-host <name>',
      'a name the server answers to beside its own, as of a proxy; may be repeated',
      collect,
      [],
    )
    .option('--cache-tokens <n>', 'tokens that the cache holds, of all requests together', count)
    .option('--max-running <n>', 'requests answered at once', count, 16)
    .option('--max-waiting <n>', 'requests that wait beside them', count, 256)
type ServeOptions = ReturnType<ReturnType<typeof command>['opts']>

/** Names and folders of the adapters that are asked for. */
function adaptersOf(given: readonly string[]): [string, string][] {
  return given.map((text) => {
    const [, name, folder] = /^([^=]+)=(.+)$/.exec(text) ?? []
    if (name && folder) return [name, folder]
    throw invalidOptions(`${JSON.stringify(text)} is not a name and a folder`, {
      where: '--adapter',
      remedy: 'Write --adapter NAME=DIR',
    })
  })
}

/** The folder that clients may load adapters from; undefined where they may not. */
function loadingFrom({ allowAdapterLoading, adapterDir }: ServeOptions): string | undefined {
  if ((allowAdapterLoading === true) === (adapterDir !== undefined)) return adapterDir
  throw invalidOptions('--allow-adapter-loading and --adapter-dir go together', {
    where: 'serve',
    remedy: 'Give both: what may be loaded, and from where',
  })
}

async function serve(path: string, options: ServeOptions): Promise<void> {
  const adapterDir = loadingFrom(options)
  const { description } = await selectBackend()
  const found = await findModel(path, { base: options.base })
  const named = adaptersOf(options.adapter)
  if (found.adapter) named.unshift([basename(resolve(found.adapter)), found.adapter])
  const model = await loadModel(found.base, in4bit(options.loadIn4bit))
  const tokenizer = await Tokenizer.fromPretrained(found.base)
  setChatTemplate(tokenizer, options.chatTemplate)
  const context = model.config.maxPositionEmbeddings
  const cacheTokens = options.cacheTokens ?? Math.max(8192, Math.min(context, 32_768))
  const { maxRunning, maxWaiting, host, port } = options
  const index = options.index === undefined ? undefined : await openNamedIndex(options.index)
  const adapters = engineAdapters(new PeftModel(model))
  const engine = new Engine(model, { cacheTokens, maxRunning, maxWaiting }, adapters)
  for (const [name, folder] of named) await engine.loadAdapter(name, await resolveModelFolder(folder))
  const modelName = options.name ?? basename(resolve(found.base))
  const key = process.env.TUNESMITH_API_KEY
  const apiKeys = [...options.apiKey, ...(key ? [key] : [])]
  const server = await startServer(
    createApp({
      ...{
        engine,
        tokenizer,
        modelName,
        adapters: adapters.names,
        apiKeys,
        notice: options.notice,
        adapterDir,
        corsOrigins: options.corsOrigin,
      },
      ...(index && { ground: groundedIn(index, tokenizer) }),
    }),
    engine,
    { host, port, allowedHosts: options.allowedHost },
  )
  console.log(`Computing with ${description}`)
  console.log(`Models: ${[modelName, ...adapters.names()].join(', ')}`)
  console.log(`Chat page: ${server.url}`)
  console.log(`Listening on ${server.url}/v1${apiKeys.length === 0 ? ', without a key' : ''}; Ctrl-C stops`)
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  console.log('Finishing the answers under way ...')
  await server.close()
  index?.close()
}

export const serveCommand = () => command().action(serve)
