import { randomBytes } from 'node:crypto'
import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError, invalidOptions, makeFolder, parseOptions, writeFileAtomic } from '@tunesmith/core'
import { z } from 'zod'
import { collectTensors, type SizedTensor, type TensorsToWrite, writeTensors } from './write'

const schema = z.strictObject({
  /** Most bytes of tensors in one file: a number, or text such as `'5GB'` or `'300MiB'`. Default `'5GB'`. */
  maxShardSize: z.union([z.number(), z.string()]).default('5GB'),
  /** The files' name without ending. Default `model`. */
  baseName: z
    .string()
    .regex(/^\w[\w.-]*$/, 'must be a plain file name')
    .default('model'),
  /** `__metadata__` of every file. Default `{ format: 'pt' }`, which transformers wants. */
  metadata: z.record(z.string(), z.string()).default({ format: 'pt' }),
})
export type WriteShardedOptions = z.input<typeof schema>

export interface WrittenCheckpoint {
  /** Names in the folder, the index last when there is one. */
  files: string[]
  /** Bytes of all tensors. */
  totalSize: number
}

/** `'5GB'` as 5e9: decimal units count in thousands, binary ones (`GiB`) in 1024s, as at the original. */
function parseByteSize(size: number | string): number {
  const [, count = size, letter = '', binary] =
    /^\s*(\d+(?:\.\d+)?)\s*(?:(?:([KMGT])(I?))?B)?\s*$/i.exec(String(size)) ?? []
  const bytes = Number(count) * (binary ? 1024 : 1000) ** ['', 'K', 'M', 'G', 'T'].indexOf(letter.toUpperCase())
  if (!(bytes >= 1))
    throw invalidOptions(`${JSON.stringify(size)} is not a size`, {
      where: 'maxShardSize',
      remedy: "Give bytes as a number, or text such as '5GB' or '300MiB'",
    })
  return Math.floor(bytes)
}

/** Fills shards in the given order, as huggingface_hub does: a tensor larger than the limit gets one of its own. */
export function planShards<T extends { byteLength: number }>(tensors: readonly T[], maxShardSize: number): T[][] {
  const shards: T[][] = []
  let current: T[] = []
  let size = 0
  for (const tensor of tensors) {
    if (tensor.byteLength > maxShardSize) {
      shards.push([tensor])
      continue
    }
    if (size + tensor.byteLength > maxShardSize) {
      shards.push(current)
      current = []
      size = 0
    }
    current.push(tensor)
    size += tensor.byteLength
  }
  if (current.length > 0) shards.push(current)
  return shards
}

const shardName = (baseName: string, index: number, count: number) =>
  count === 1
    ? `${baseName}.safetensors`
    : `${baseName}-${String(index + 1).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.safetensors`

/** Removes what writers that were killed more than a day ago left; a checkpoint's worth each. */
async function removeAbandoned(folder: string, baseName: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (!name.startsWith(`.${baseName}`) || !/\.safetensors\.[0-9a-f]{12}\.tmp$/.test(name)) continue
    const stats = await stat(join(folder, name)).catch(() => undefined)
    if (stats && Date.now() - stats.mtimeMs > 24 * 3600e3) await rm(join(folder, name), { force: true })
  }
}

async function writeTemporary(path: string, tensors: SizedTensor[], metadata: Record<string, string>, where: string) {
  const file = await open(path, 'wx')
  try {
    await writeTensors(file, tensors, metadata, where)
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * Writes a checkpoint into a folder: one file, or shards of at most `maxShardSize` and `NAME.safetensors.index.json`.
 * Other files of the folder are left alone; what an earlier checkpoint of the same name left behind is removed.
 *
 * Everything is written under temporary names first. Only when all of it is on disk are the files renamed, the one
 * that makes the new checkpoint the valid one last: a crash leaves the old checkpoint or the new, never a mixture.
 *
 * @throws {TunesmithError} `invalid_options` for tensors that are malformed; `io`. The old checkpoint then stands.
 */
export async function writeShardedSafetensors(
  folder: string,
  tensors: TensorsToWrite,
  options: WriteShardedOptions = {},
): Promise<WrittenCheckpoint> {
  const { maxShardSize, baseName, metadata } = parseOptions(schema, options, 'writeShardedSafetensors')
  const limit = parseByteSize(maxShardSize)
  const sized = await collectTensors(tensors, folder)
  const shards = planShards(sized, limit)
  if (shards.length === 0) shards.push([])
  const names = shards.map((_, index) => shardName(baseName, index, shards.length))
  const suffix = `${randomBytes(6).toString('hex')}.tmp`
  const temporary = (name: string) => join(folder, `.${name}.${suffix}`)
  const single = `${baseName}.safetensors`
  const indexName = `${single}.index.json`
  const totalSize = sized.reduce((sum, { byteLength }) => sum + byteLength, 0)
  try {
    await makeFolder(folder)
    for (const [index, shard] of shards.entries())
      await writeTemporary(temporary(names[index]!), shard, metadata, join(folder, names[index]!))

    const before = await readdir(folder)
    const shardPattern = /^(.*)-\d{5}-of-\d{5}\.safetensors$/
    const stale = before.filter((name) => !names.includes(name) && shardPattern.exec(name)?.[1] === baseName)
    // Shards that take the names of old ones would belong to the old index for a moment: that index goes first.
    if (shards.length > 1 && names.some((name) => before.includes(name)))
      await rm(join(folder, indexName), { force: true })
    for (const name of names) await rename(temporary(name), join(folder, name))
    if (shards.length > 1) {
      const weightMap: Record<string, string> = Object.fromEntries(
        shards.flatMap((shard, index) => shard.map((tensor) => [tensor.name, names[index]!] as const)).sort(byName),
      )
      const index = { metadata: { total_size: totalSize }, weight_map: weightMap }
      await writeFileAtomic(join(folder, indexName), `${JSON.stringify(index, null, 2)}\n`)
      await rm(join(folder, single), { force: true })
    } else await rm(join(folder, indexName), { force: true })
    for (const name of stale) await rm(join(folder, name), { force: true })
    await removeAbandoned(folder, baseName, before)
    return { files: shards.length > 1 ? [...names, indexName] : names, totalSize }
  } catch (error) {
    for (const name of names) await rm(temporary(name), { force: true })
    throw fileError(error, folder, 'write the checkpoint')
  }
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
