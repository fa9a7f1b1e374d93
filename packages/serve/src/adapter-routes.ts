import { readdir, realpath } from 'node:fs/promises'
import { isAbsolute, join, relative, resolve, sep } from 'node:path'
import { isTunesmithError } from '@tunesmith/core'
import type { Engine } from '@tunesmith/models'
import type { Context, Hono } from 'hono'
import { z } from 'zod'
import { badRequest, notFoundError } from './errors'
import { readBody } from './requests'

const loadSchema = z.strictObject({ lora_name: z.string().min(1).max(256), lora_path: z.string().min(1) })
const unloadSchema = z.strictObject({ lora_name: z.string().min(1), lora_int_id: z.number().int().nullish() })

/** Codes of errors that say what is wrong with an adapter's files. */
const ADAPTERS_FAULT = ['invalid_file', 'invalid_data', 'invalid_options', 'not_found', 'unsupported', 'incompatible']

interface Loading {
  engine: Engine
  /** The folder that adapters must be inside of. */
  adapterDir: string
  /** What the names of adapters must differ from. */
  modelName: string
  names: () => readonly string[]
  bodyOf: (context: Context) => Promise<unknown>
}

const isInside = (folder: string, path: string): boolean => {
  const way = relative(folder, path)
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/**
 * The real folder of an adapter, inside of another one with all that is in it.
 *
 * @throws {RequestError} the same for a folder that is elsewhere and one that is nowhere: a client learns nothing of the disk.
 */
async function confined(adapterDir: string, path: string): Promise<string> {
  const refused = badRequest(
    `There is no adapter ${JSON.stringify(path)} in the folder that this server loads adapters from`,
    'invalid_value',
    'lora_path',
  )
  try {
    if (path.includes('\0')) throw refused
    const root = await realpath(adapterDir)
    const folder = await realpath(resolve(root, path))
    if (!isInside(root, folder)) throw refused
    for (const entry of await readdir(folder)) if (!isInside(root, await realpath(join(folder, entry)))) throw refused
    return folder
  } catch {
    throw refused
  }
}

/** Adapters come and go while the server runs, in vLLM's shape. */
export function addAdapterRoutes(app: Hono, { engine, adapterDir, modelName, names, bodyOf }: Loading): void {
  app.post('/v1/load_lora_adapter', async (c) => {
    const { lora_name: name, lora_path: path } = readBody(loadSchema, await bodyOf(c))
    if (name === modelName || names().includes(name))
      throw badRequest(
        `There is a model ${JSON.stringify(name)} already: unload it first, or choose another name`,
        'invalid_value',
        'lora_name',
      )
    const folder = await confined(adapterDir, path)
    await engine.loadAdapter(name, folder).catch((error: unknown) => {
      if (!isTunesmithError(error) || !ADAPTERS_FAULT.includes(error.code)) throw error
      // Without the place: it tells where on the disk this server has its adapters.
      throw badRequest(`The adapter cannot be loaded: ${error.what}`, 'invalid_value', 'lora_path')
    })
    return c.text(`Success: LoRA adapter '${name}' added successfully.`)
  })
  app.post('/v1/unload_lora_adapter', async (c) => {
    const { lora_name: name } = readBody(unloadSchema, await bodyOf(c))
    if (!names().includes(name))
      throw notFoundError(`There is no adapter ${JSON.stringify(name)}`, 'model_not_found', 'lora_name')
    await engine.unloadAdapter(name)
    return c.text(`Success: LoRA adapter '${name}' removed successfully.`)
  })
}
