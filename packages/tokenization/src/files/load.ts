import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { notFound, parseJsonObject } from '@tunesmith/core'
import type { TokenizerJson } from '../engine/tokenizer-json'
import { CONVERT, checkTokenizerJson } from './check'
import { readBytes, readJson, readText } from './json'

/** Everything a folder says about its tokenizer. */
export interface TokenizerFiles {
  tokenizerJson: TokenizerJson
  /** tokenizer.json as it was read. */
  jsonBytes: SharedArrayBuffer
  /** tokenizer_config.json; `{}` when there is none. */
  config: Record<string, unknown>
  /** special_tokens_map.json; `{}` when there is none. */
  specialTokensMap: Record<string, unknown>
  /** Chat templates by name; the usual one is called `default`. */
  chatTemplates: Record<string, string>
  /** Where it all came from, for messages. */
  where: string
}

/** The parser of JavaScript is the fastest; that of Python's JSON, which keeps more than is needed here, says where a fault is. */
function parsedFast(text: string, path: string): Record<string, unknown> {
  try {
    const value = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Said by the other one.
  }
  return parseJsonObject(text, path)
}

/** Reads the tokenizer files of a model folder, in the layouts transformers 4 and 5 write. */
export async function loadTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const [bytes, config, map, names] = await Promise.all([
    readBytes(folder, 'tokenizer.json'),
    readJson(folder, 'tokenizer_config.json'),
    readJson(folder, 'special_tokens_map.json'),
    readdir(folder).catch(() => undefined),
  ])
  if (!names) throw notFound(`There is no folder ${folder}`, { where: folder })
  if (!bytes) throw notFound('The folder has no tokenizer.json', { where: folder, remedy: CONVERT })
  const path = join(folder, 'tokenizer.json')
  const jsonBytes = new SharedArrayBuffer(bytes.length)
  new Uint8Array(jsonBytes).set(bytes)
  return {
    tokenizerJson: checkTokenizerJson(parsedFast(bytes.toString(), path), path),
    jsonBytes,
    config: config ?? {},
    specialTokensMap: map ?? {},
    chatTemplates: await loadChatTemplates(folder, config ?? {}),
    where: folder,
  }
}

/**
 * Finds the chat templates. A chat_template.jinja beside the config wins over chat_template.json, and that over the
 * config's own key; additional_chat_templates/NAME.jinja adds named ones.
 */
async function loadChatTemplates(folder: string, config: Record<string, unknown>): Promise<Record<string, string>> {
  const templates = templatesOf(config.chat_template)
  const json = await readJson(folder, 'chat_template.json')
  Object.assign(templates, templatesOf(json?.chat_template))
  const jinja = await readText(folder, 'chat_template.jinja')
  if (jinja !== undefined) templates.default = jinja
  for (const place of ['additional_chat_templates', 'chat_templates'])
    for (const name of await readdir(join(folder, place)).catch(() => [] as string[]))
      if (name.endsWith('.jinja')) templates[name.slice(0, -6)] = (await readText(join(folder, place), name)) ?? ''
  return templates
}

/** One template, or the list of named ones (`[{name, template}]`) or the object (`{name: template}`) configs may hold. */
export function templatesOf(value: unknown): Record<string, string> {
  if (typeof value === 'string') return { default: value }
  if (Array.isArray(value))
    return Object.fromEntries(
      value
        .filter((entry) => typeof entry?.name === 'string' && typeof entry?.template === 'string')
        .map((entry) => [entry.name, entry.template]),
    )
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).filter(([, template]) => typeof template === 'string'))
  return {}
}
