import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type CausalLM, createModel, Engine, type EngineOptions } from '@tunesmith/models'
import { engineAdapters, getPeftModel, PeftModel, savePeftModel } from '@tunesmith/peft-lora'
import { chatTemplates, Tokenizer } from '@tunesmith/tokenization'
import { type AppOptions, createApp, type RunningServer, type ServerOptions, startServer } from '../index'

const config = {
  model_type: 'llama',
  vocab_size: 330,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  eos_token_id: 2,
  initializer_range: 0.4,
}

/** Of random weights, always the same. */
export const tinyModel = (): CausalLM => createModel(config, { seed: 4 })

export async function tinyTokenizer(): Promise<Tokenizer> {
  const tokenizer = await Tokenizer.fromPretrained(
    fileURLToPath(new URL('../../../models/src/fixtures/tokenizers/byte-level', import.meta.url)),
  )
  tokenizer.chatTemplates.default = chatTemplates.chatml
  return tokenizer
}

export interface TinyServer extends RunningServer {
  engine: Engine
  tokenizer: Tokenizer
  /** With the folder `adapter` in it. */
  folder: string
  /** What the server says was its own mistake. */
  errors: unknown[]
  post(path: string, body: unknown): Promise<Response>
  stop(): Promise<void>
}

/** A server of {@link tinyModel}, called `tiny`, on a free port; the backend is selected before. */
export async function tinyServer(
  options: Partial<AppOptions> | ((folder: string) => Partial<AppOptions>) = {},
  engineOptions: EngineOptions = { cacheTokens: 2048, maxRunning: 4, maxWaiting: 64 },
  serverOptions: ServerOptions = {},
): Promise<TinyServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tunesmith-serve-'))
  const tokenizer = await tinyTokenizer()
  const model = tinyModel()
  const made = getPeftModel(model, { r: 4, targetModules: 'all-linear', initLoraWeights: false })
  await savePeftModel(made, join(folder, 'adapter'))
  made.unload()
  const adapters = engineAdapters(new PeftModel(model))
  const engine = new Engine(model, engineOptions, adapters)
  const errors: unknown[] = []
  const app = createApp({
    engine,
    tokenizer,
    modelName: 'tiny',
    adapters: adapters.names,
    onError: (error) => errors.push(error),
    ...(typeof options === 'function' ? options(folder) : options),
  })
  const server = await startServer(app, engine, { port: 0, ...serverOptions })
  return {
    ...server,
    engine,
    tokenizer,
    folder,
    errors,
    post: (path, body) =>
      fetch(`${server.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
      }),
    async stop() {
      await server.close()
      await rm(folder, { recursive: true })
    },
  }
}
