import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { AddedTokenJson } from './engine/tokenizer-json'
import { randomText, SmallRandom } from './testing/random-text'
import { sharedFolder } from './testing/shared'
import { Tokenizer } from './tokenizer'

const fixture = (name: string) => readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8')
const words = [
  ...new Set(
    fixture('corpus.txt')
      .split('\n')
      .flatMap((line) => line.split(' ')),
  ),
].filter(Boolean)
// Python sorts by code point.
words.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
const record = JSON.parse(fixture('differential.json')) as {
  block: number
  count: number
  with_offsets: string[]
  fixtures: Record<string, string[]>
  shared: Record<string, string[]>
}
const texts = Array.from({ length: record.count }, (_, i) => randomText(i, words))
const WITH_OFFSETS = new Set(record.with_offsets)

/** JSON as Python's `json.dumps(..., separators=(",", ":"))` writes it. */
const ascii = (value: unknown) =>
  JSON.stringify(value).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)

function digests(tokenizer: Tokenizer, rows: number, offsets: boolean): string[] {
  const out: string[] = []
  for (let start = 0; start < texts.length; start += record.block) {
    const hash = createHash('sha256')
    for (let i = start; i < start + record.block; i++) {
      const encoding = tokenizer.encode(texts[i]!)
      const r = new SmallRandom(i)
      const ids = Array.from({ length: 1 + r.below(8) }, () => 0).map(() => r.below(rows))
      const parts: unknown[] = [
        encoding.ids,
        tokenizer.decode(encoding.ids),
        tokenizer.decode(encoding.ids, { skipSpecialTokens: true }),
        ids,
        tokenizer.decode(ids),
      ]
      if (offsets) parts.push(encoding.offsets)
      hash.update(ascii(parts))
    }
    out.push(hash.digest('hex').slice(0, 16))
  }
  return out
}

interface Variant {
  name: string
  base: string
  patch: Record<string, unknown>
}

function build({ base, patch }: Variant): Tokenizer {
  const json = JSON.parse(fixture(`${base}.tokenizer.json`))
  for (const [key, value] of Object.entries(patch)) {
    if (key === 'model') Object.assign(json.model, value)
    else if (key === 'added_tokens') {
      const tokens = value as AddedTokenJson[]
      let next = Math.max(...Object.values<number>(json.model.vocab)) + 1
      const kept = json.added_tokens.filter((t: AddedTokenJson) => !tokens.some((token) => token.content === t.content))
      for (const token of tokens) kept.push({ ...token, id: json.model.vocab[token.content] ?? next++ })
      json.added_tokens = kept
    } else json[key] = value
  }
  return new Tokenizer({ tokenizerJson: json })
}

describe('10,000 random texts give what Rust tokenizers gives: ids, offsets, decoded text', () => {
  const { variants } = JSON.parse(fixture('variants.json')) as { variants: Variant[] }
  for (const variant of variants)
    test(variant.name, () => {
      const tokenizer = build(variant)
      expect(tokenizer.engineInfo).toEqual({ name: 'bpe' })
      expect(digests(tokenizer, tokenizer.vocabSize + 3, WITH_OFFSETS.has(variant.name))).toEqual(
        record.fixtures[variant.name],
      )
    })

  const shared = sharedFolder('tokenizers')
  for (const name of Object.keys(record.shared))
    test.skipIf(!shared)(`reference tokenizer ${name}`, async () => {
      const tokenizer = await Tokenizer.fromPretrained(join(shared as string, name))
      expect(digests(tokenizer, tokenizer.vocabSize + 3, false)).toEqual(record.shared[name])
    })
})
