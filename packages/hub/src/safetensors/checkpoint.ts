import { existsSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { failAs, invalidFile, notFound, parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { quoted } from '../json-reader'
import { readWeightMap } from './checkpoint-index'
import { findTensor, openSafetensors, type SafetensorsFile, type TensorReader } from './file'
import type { TensorInfo } from './header'

const schema = z.strictObject({
  /** The files' name without ending: `NAME.safetensors` or `NAME.safetensors.index.json`. Default `model`. */
  baseName: z
    .string()
    .regex(/^\w[\w.-]*$/, 'must be a plain file name')
    .default('model'),
})
export type OpenCheckpointOptions = z.input<typeof schema>

/** The tensors of several files as one. */
async function openShards(folder: string, indexPath: string): Promise<TensorReader> {
  const weightMap = await readWeightMap(indexPath)
  const files = new Map<string, SafetensorsFile>()
  const close = async () => {
    await Promise.all([...files.values()].map((file) => file.close()))
  }
  try {
    for (const shard of new Set(weightMap.values())) {
      const path = join(folder, shard)
      files.set(
        path,
        await openSafetensors(path).catch((error: unknown) => {
          if (!(error instanceof TunesmithError) || error.code !== 'not_found') throw error
          throw notFound(`The index names the shard ${quoted(shard)}, which is not there`, {
            where: indexPath,
            remedy: 'Download the checkpoint again; the files that are complete will be kept',
            cause: error,
          })
        }),
      )
    }
    const tensors = new Map<string, TensorInfo>()
    const missing: string[] = []
    for (const [name, shard] of weightMap) {
      const info = files.get(join(folder, shard))!.tensors.get(name)
      if (info) tensors.set(name, info)
      else missing.push(`${quoted(name)} in ${shard}`)
    }
    if (missing.length > 0)
      throw invalidFile(
        `${missing.length} tensors are not in the shard the index names: ${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ', …' : ''}`,
        { where: indexPath, remedy: 'Index and shards do not fit; download or save them again' },
      )
    const metadata = Object.assign({}, ...[...files.values()].map((file) => file.metadata))
    const fileOf = (name: string) => files.get(findTensor(tensors, name, folder).file)!
    return {
      tensors,
      metadata,
      read: async (name) => fileOf(name).read(name),
      readInto: async (name, target) => fileOf(name).readInto(name, target),
      readRows: async (name, start, end) => fileOf(name).readRows(name, start, end),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * Opens a checkpoint: a folder with `model.safetensors`, or with `model.safetensors.index.json` and its shards (when
 * both are there the single file counts, as in transformers), or the path of one `.safetensors` file. Every header is
 * checked; no tensor is read yet.
 *
 * @throws {TunesmithError} `not_found` naming what the folder has instead; `invalid_file` for a checkpoint that does
 *   not hold together.
 */
export async function openCheckpoint(folder: string, options: OpenCheckpointOptions = {}): Promise<TensorReader> {
  const { baseName } = parseOptions(schema, options, 'openCheckpoint')
  const stats = await stat(folder).catch(failAs(folder, 'open'))
  if (!stats.isDirectory()) return openSafetensors(folder)
  const single = join(folder, `${baseName}.safetensors`)
  if (existsSync(single)) return openSafetensors(single)
  const index = `${single}.index.json`
  if (existsSync(index)) return openShards(folder, index)
  const weights = (await readdir(folder)).filter((name) => /\.(safetensors|bin|pt|pth|gguf|h5)$/.test(name))
  throw notFound(`The folder has neither ${baseName}.safetensors nor ${baseName}.safetensors.index.json`, {
    where: folder,
    remedy: weights.some((name) => !name.endsWith('.safetensors'))
      ? `It has ${weights.slice(0, 4).join(', ')}; only safetensors is read, so look for a safetensors copy of the model or convert it`
      : weights.length > 0
        ? `It has ${weights.slice(0, 4).join(', ')}; is another name meant?`
        : 'Check the path; the folder has no weights',
  })
}
