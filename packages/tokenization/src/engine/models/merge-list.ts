import { TunesmithError } from '@tunesmith/core'
import type { BpeJson } from '../tokenizer-json'

/** The two parts of each merge, in order of rank. The older layout writes `"a b"`, and may begin with a version line. */
export function mergePairs(model: BpeJson, where: string): [string, string][] {
  const out: [string, string][] = []
  for (const merge of model.merges) {
    if (typeof merge !== 'string') {
      out.push(merge)
      continue
    }
    if (merge.startsWith('#version')) continue
    const space = merge.indexOf(' ')
    if (space === -1 || merge.indexOf(' ', space + 1) !== -1)
      throw new TunesmithError(`Merge ${out.length} (${JSON.stringify(merge)}) is not two tokens`, {
        code: 'invalid_file',
        where,
      })
    out.push([merge.slice(0, space), merge.slice(space + 1)])
  }
  return out
}

/** Each merge as the ids of its parts and of what they make. */
export function mergeTriples(
  model: BpeJson,
  vocab: ReadonlyMap<string, number>,
  where: string,
): [number, number, number][] {
  const prefix = model.continuing_subword_prefix ?? ''
  const prefixBytes = Buffer.byteLength(prefix)
  return mergePairs(model, where).map(([a, b], rank) => {
    const rest = prefix === '' || b.startsWith(prefix) ? b.slice(prefix.length) : cutBytes(b, prefixBytes)
    const [left, right] = [vocab.get(a), vocab.get(b)]
    const merged = rest === undefined ? undefined : vocab.get(a + rest)
    if (left === undefined || right === undefined || merged === undefined)
      throw new TunesmithError(`Merge ${rank} (${JSON.stringify([a, b])}) uses a token that is not in the vocabulary`, {
        code: 'invalid_file',
        where,
        remedy: 'Download tokenizer.json again; vocabulary and merges do not belong together',
      })
    return [left, right, merged]
  })
}

/** A token that does not begin with the prefix loses as many bytes as the prefix has. */
function cutBytes(token: string, bytes: number): string | undefined {
  const all = Buffer.from(token)
  return all.length < bytes ? undefined : all.subarray(bytes).toString()
}
