import { invalidFile } from '@tunesmith/core'
import { readFileUpTo } from '../json-file'
import { JsonReader, quoted } from '../json-reader'
import { MAX_HEADER_LENGTH } from './header'

/** A file name and nothing else: no folder, no drive, no way out of the checkpoint's folder. */
function isPlainFileName(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return name !== '' && name !== '.' && name !== '..' && name.length <= 255 && !/[/\\:\u0000-\u001f]/.test(name)
}

/**
 * Parses `model.safetensors.index.json` and checks it; a pure function.
 *
 * @returns which file, beside the index, holds each tensor.
 * @throws {TunesmithError} `invalid_file` for broken JSON, a key given twice, or a shard outside the index's folder.
 */
export function parseWeightMap(json: Uint8Array, where: string): Map<string, string> {
  const reader = new JsonReader(json, where)
  let weightMap: Map<string, string> | undefined
  const shards = new Set<string>()
  reader.object((key) => {
    if (key !== 'weight_map') return reader.skip()
    const map = new Map<string, string>()
    reader.object((tensor) => {
      const shard = reader.string()
      if (!shards.has(shard) && !(isPlainFileName(shard) && shard.endsWith('.safetensors')))
        throw invalidFile(`The weight_map sends ${quoted(tensor)} to ${quoted(shard)}, not a .safetensors file`, {
          where,
          remedy: 'Shards must lie beside the index; do not use a checkpoint that points elsewhere',
        })
      shards.add(shard)
      map.set(tensor, shard)
    })
    weightMap = map
  })
  reader.end()
  if (!weightMap)
    throw invalidFile('The index has no weight_map', { where, remedy: 'Download or save the checkpoint again' })
  return weightMap
}

/** Reads and parses an index file; one too large for any real checkpoint is refused before it is read. */
export async function readWeightMap(path: string): Promise<Map<string, string>> {
  return parseWeightMap(await readFileUpTo(path, MAX_HEADER_LENGTH), path)
}
