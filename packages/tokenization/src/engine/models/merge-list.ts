import { invalidFile } from '@tunesmith/core'
import type { BpeJson } from '../tokenizer-json'

/** Goes through the merges in order of rank. The older layout writes `"a b"`, and may begin with a version line. */
export function eachMerge(model: BpeJson, where: string, visit: (a: string, b: string, rank: number) => void): void {
  let rank = 0
  for (const merge of model.merges) {
    if (typeof merge !== 'string') {
      visit(merge[0], merge[1], rank++)
      continue
    }
    if (merge.startsWith('#version')) continue
    const space = merge.indexOf(' ')
    if (space === -1 || merge.indexOf(' ', space + 1) !== -1)
      throw invalidFile(`Merge ${rank} (${JSON.stringify(merge)}) is not two tokens`, { where })
    visit(merge.slice(0, space), merge.slice(space + 1), rank++)
  }
}

/** Each merge as the ids of its parts and of what they make, one after the other. */
export function mergeTriples(model: BpeJson, vocab: ReadonlyMap<string, number>, where: string): Int32Array {
  const prefix = model.continuing_subword_prefix ?? ''
  const prefixBytes = Buffer.byteLength(prefix)
  const out = new Int32Array(model.merges.length * 3)
  let count = 0
  eachMerge(model, where, (a, b, rank) => {
    const rest = prefix === '' || b.startsWith(prefix) ? b.slice(prefix.length) : cutBytes(b, prefixBytes)
    const [left, right] = [vocab.get(a), vocab.get(b)]
    const merged = rest === undefined ? undefined : vocab.get(a + rest)
    if (left === undefined || right === undefined || merged === undefined)
      throw invalidFile(`Merge ${rank} (${JSON.stringify([a, b])}) uses a token that is not in the vocabulary`, {
        where,
        remedy: 'Download tokenizer.json again; vocabulary and merges do not belong together',
      })
    out[count] = left
    out[count + 1] = right
    out[count + 2] = merged
    count += 3
  })
  return out.subarray(0, count)
}

/** A token that does not begin with the prefix loses as many bytes as the prefix has. */
function cutBytes(token: string, bytes: number): string | undefined {
  const all = Buffer.from(token)
  return all.length < bytes ? undefined : all.subarray(bytes).toString()
}
