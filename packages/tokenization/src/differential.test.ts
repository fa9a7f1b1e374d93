import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { TunesmithError } from '@tunesmith/core'
import { describe, expect, test } from 'vitest'
import type { AddedTokenJson, StepJson, TokenizerJson } from './engine/tokenizer-json'
import { randomText, SmallRandom, thornyText } from './testing/random-text'
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
  ends: number[]
  fixtures: Record<string, string[]>
  zoo: Record<string, string[]>
  shared: Record<string, string[]>
}
/** How many of the recorded digests are compared: all of them take some minutes. */
const DIGESTS = process.env.TUNESMITH_ALL ? record.ends.length : 2
const texts = Array.from({ length: record.ends[DIGESTS - 1]! }, (_, i) =>
  i % 2 ? randomText(i, words) : thornyText(i, words),
)

/** JSON as Python's `json.dumps(..., separators=(",", ":"))` writes it. */
const ascii = (value: unknown) =>
  JSON.stringify(value).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** What ours makes of one text, or null where it refuses. */
function outcome(tokenizer: Tokenizer, text: string, index: number): unknown {
  try {
    const encoding = tokenizer.encode(text)
    const r = new SmallRandom(index)
    const ids = Array.from({ length: 1 + r.below(8) }, () => 0).map(() => r.below(tokenizer.vocabSize + 3))
    return [
      encoding.ids,
      tokenizer.decode(encoding.ids),
      tokenizer.decode(encoding.ids, { skipSpecialTokens: true }),
      ids,
      tokenizer.decode(ids),
      encoding.offsets,
    ]
  } catch (error) {
    if (error instanceof TunesmithError) return null
    throw error
  }
}

function digests(tokenizer: Tokenizer): string[] {
  let start = 0
  return record.ends.slice(0, DIGESTS).map((end) => {
    const hash = createHash('sha256')
    for (let i = start; i < end; i++) hash.update(ascii(outcome(tokenizer, texts[i]!, i)))
    start = end
    return hash.digest('hex').slice(0, 16)
  })
}

interface Variant {
  name: string
  base: string
  patch: Record<string, unknown>
}

function build({ base, patch }: Variant, fastEngine = true): Tokenizer {
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
  return new Tokenizer({ tokenizerJson: json, fastEngine })
}

interface Zoo {
  models: Record<string, StepJson>
  added: Record<string, Omit<AddedTokenJson, 'id'>[]>
  tokenizers: (Partial<TokenizerJson> & {
    name: string
    model: string
    added: string
    settings?: Record<string, unknown>
  })[]
}

/** The tokenizer.json of a row of the zoo, as `tokenizer_json` of scripts/zoo.py makes it. */
function zooJson(zoo: Zoo, row: Zoo['tokenizers'][number]): Record<string, unknown> {
  const { name: _, model: modelName, added, settings, ...rest } = row
  const model = { ...zoo.models[modelName]!, ...settings }
  const vocab = model.vocab as [string, number][] | Record<string, number>
  const ids = new Map(Array.isArray(vocab) ? vocab.map(([token], i) => [token, i]) : Object.entries(vocab))
  let next = ids.size
  const tokens = zoo.added[added]!.map((token) => ({ ...token, id: ids.get(token.content) ?? next++ }))
  return { version: '1.0', ...rest, added_tokens: tokens, model }
}

const allDigests = (recorded: string[] | undefined) => recorded?.slice(0, DIGESTS)

describe('random texts give what Rust tokenizers gives: ids, offsets, decoded text', () => {
  const { variants } = JSON.parse(fixture('variants.json')) as { variants: Variant[] }
  for (const variant of variants)
    test(`${variant.name}, with the fast engine`, () => {
      const tokenizer = build(variant)
      expect(tokenizer.engineInfo).toEqual({ name: 'bpe' })
      expect(digests(tokenizer)).toEqual(allDigests(record.fixtures[variant.name]))
    })

  // What whyNotLibrary of library-engine.ts lets the library do.
  const PROVEN = ['byte-level-without-split', 'llama2', 'metaspace-first', 'gemma']
  test.each(variants.map((variant) => [variant.name, variant] as const))('%s, with the library', (name, variant) => {
    if (!PROVEN.includes(name)) expect(() => build(variant, false)).toThrow(/not proven/)
    else {
      const [library, ours] = [build(variant, false), build(variant)]
      expect(library.engineInfo.name).toBe('library')
      for (const text of texts) expect(library.encode(text).ids, text).toEqual(ours.encode(text).ids)
    }
  })

  const zoo = JSON.parse(fixture('zoo.json')) as Zoo
  expect(zoo.tokenizers.length).toBe(40)
  for (const row of zoo.tokenizers)
    test(row.name, () => {
      const tokenizer = new Tokenizer({ tokenizerJson: zooJson(zoo, row) })
      expect(digests(tokenizer)).toEqual(allDigests(record.zoo[row.name]))
    })

  const shared = sharedFolder('tokenizers')
  for (const name of Object.keys(record.shared))
    test.skipIf(!shared)(`reference tokenizer ${name}`, async () => {
      const tokenizer = await Tokenizer.fromPretrained(join(shared as string, name))
      expect(digests(tokenizer)).toEqual(allDigests(record.shared[name]))
    })
})
