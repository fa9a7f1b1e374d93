import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { invalidOptions, statRegularFile, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { readToken, type Token } from './token'

/** The options every function that talks to the Hub takes. */
export const connectionOptions = {
  /** Address of the Hub. Default `HF_ENDPOINT`, else https://huggingface.co. */
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  /**
   * Access token; `false` sends none. Default `HF_TOKEN`, else the file that `hf auth login` wrote. Sent to the
   * endpoint only, and never printed.
   */
  token: z.union([z.string(), z.literal(false)]).optional(),
  /** Do not use the network. Default `HF_HUB_OFFLINE`. */
  offline: z.boolean().optional(),
  /** Used in place of the global `fetch`, for a proxy or for tests. */
  fetch: z.custom<typeof fetch>((value) => typeof value === 'function', 'must be a function').optional(),
  /** Aborts what is under way; a download resumes there next time. */
  signal: z.custom<AbortSignal>((value) => value instanceof AbortSignal, 'must be an AbortSignal').optional(),
  /** How often a failing request is repeated. Default 5. */
  retries: z.int().min(0).max(100).default(5),
  /** Wait before the first repetition, doubled each time up to 30 s; a server's `Retry-After` counts more. Default 500. */
  retryDelayMs: z.number().min(0).default(500),
  /** A server that is silent for so long is taken for gone. Default 30,000. */
  timeoutMs: z.number().min(1).default(30_000),
}

type Options = z.output<z.ZodObject<typeof connectionOptions>>

/** The options with the environment filled in. */
export interface Connection extends Pick<Options, 'signal' | 'retries' | 'retryDelayMs' | 'timeoutMs'> {
  /** Without a slash at the end. */
  endpoint: string
  token: Token | undefined
  offline: boolean
  fetch: typeof fetch
}

function flag(name: string): boolean {
  return /^(1|on|yes|true)$/i.test(process.env[name] ?? '')
}

/** `~` and `$NAME` in a path from the environment, as in Python's `expanduser` and `expandvars`. */
function expand(path: string): string {
  return path
    .replace(/^~(?=$|[/\\])/, homedir())
    .replace(/\$(?:\{(\w+)\}|(\w+))/g, (text, braced, plain) => process.env[braced ?? plain] ?? text)
}

function hubHome(): string {
  const fallback = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface')
  return expand(process.env.HF_HOME ?? fallback)
}

/** The cache folder: the option, else `HF_HUB_CACHE`, else `HF_HOME/hub`, else ~/.cache/huggingface/hub. */
export function cacheFolder(option?: string): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE } = process.env
  return resolve(expand(option ?? HF_HUB_CACHE ?? HUGGINGFACE_HUB_CACHE ?? join(hubHome(), 'hub')))
}

/** Whether links may be made in the cache. */
export function linksWanted(): boolean {
  return !flag('HF_HUB_DISABLE_SYMLINKS')
}

async function findToken(option: string | false | undefined): Promise<Token | undefined> {
  if (option === false) return undefined
  if (option !== undefined) return readToken(option, 'the option "token"')
  if (flag('HF_HUB_DISABLE_IMPLICIT_TOKEN')) return undefined
  for (const name of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN']) {
    const token = readToken(process.env[name] ?? '', `the environment variable ${name}`)
    if (token) return token
  }
  const path = expand(process.env.HF_TOKEN_PATH ?? join(hubHome(), 'token'))
  if (existsSync(path)) await statRegularFile(path)
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return ''
    throw new TunesmithError(`The Hub token file cannot be read: ${error.code}`, {
      code: 'io',
      where: path,
      remedy: `Check its permissions, or those of ${dirname(path)}`,
    })
  })
  return readToken(text, `the file ${path}`)
}

/** Fills in what the options leave open from the environment, read anew at each call. */
export async function resolveConnection(options: Options): Promise<Connection> {
  const endpoint = options.endpoint ?? (process.env.HF_ENDPOINT || 'https://huggingface.co')
  if (!URL.canParse(endpoint) || !/^https?:/.test(endpoint))
    throw invalidOptions(`${JSON.stringify(endpoint)} is not a web address`, {
      where: 'HF_ENDPOINT',
      remedy: 'Give an address such as https://huggingface.co, or unset it',
    })
  return {
    ...options,
    endpoint: endpoint.replace(/\/+$/, ''),
    token: await findToken(options.token),
    offline: options.offline ?? (flag('HF_HUB_OFFLINE') || flag('TRANSFORMERS_OFFLINE')),
    fetch: options.fetch ?? globalThis.fetch,
  }
}
