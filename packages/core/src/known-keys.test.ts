import { expect, it } from 'vitest'
import { checkKeys, type KnownKeys } from './index'

const known: KnownKeys[] = [
  { harmless: { 'how fast, not what': ['use_cache'] } },
  { refused: { num_beams: { means: 'beam search', neutral: [1] }, constructor: { means: 'nothing real' } } },
]

function check(values: object) {
  const lines: string[] = []
  const warn = (line: string) => lines.push(line)
  const settings = { used: ['size'], known, where: 'a.json', remedy: 'Remove it', warn }
  checkKeys({ values: values as Record<string, unknown>, ...settings })
  return lines
}

it('lets pass what is used, harmless, neutral or empty', () => {
  expect(check({ size: 1, use_cache: true, num_beams: 1 })).toEqual([])
  expect(check({ a: null, b: false, c: [], d: {}, e: '', num_beams: null })).toEqual([])
})

it('names all unknown keys in one line', () => {
  expect(check({ size: 1, extra: 2 })).toEqual(['a.json: the key "extra" is not known and was not used'])
  expect(check({ toString: 0, extra: 2 })).toEqual([
    'a.json: the keys "toString", "extra" are not known and were not used',
  ])
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`${i}${'x'.repeat(1000)}`, 1]))
  const [line] = check(many)
  expect(line!.length).toBeLessThan(2000)
  expect(line).toMatch(/and 980 more/)
})

it('refuses what would change results, with its value and what it means', () => {
  expect(() => check({ num_beams: 4 })).toThrow('Not supported: "num_beams" is 4: beam search (a.json). Remove it')
  expect(() => check({ num_beams: 4, constructor: [1] })).toThrow('"constructor" is [1]: nothing real')
  expect(() => check({ num_beams: 0 })).toThrow('"num_beams" is 0')
})
