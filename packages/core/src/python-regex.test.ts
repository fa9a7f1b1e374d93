import { expect, it } from 'vitest'
import { pythonFullMatch, pythonMatch } from './index'

const full = (pattern: string, text: string) => pythonFullMatch(pattern, text, 'a.json')

it('reads what both languages have', () => {
  expect(full('.*\\.(q|v)_proj', 'model.layers.0.self_attn.q_proj')).toBe(true)
  expect(full('q_proj|v_proj', 'q_proj_2')).toBe(false)
  expect(full('model\\.layers\\.(?:[0-3]|7)\\..*', 'model.layers.7.mlp')).toBe(true)
  expect(full('(?!.*lm_head).*proj', 'lm_head.proj')).toBe(false)
  expect(pythonMatch('layers\\.(\\d+)', 'layers.12.x', { where: '' })![1]).toBe('12')
  expect(pythonMatch('q', 'model.q', { where: '', before: '(.*\\.)?(', after: ')$' })).toBeDefined()
})

it('translates what Python writes otherwise', () => {
  expect(full('(?P<part>q|k)_(?P=part)', 'k_k')).toBe(true)
  expect(full('(?P<part>q|k)_(?P=part)', 'k_q')).toBe(false)
  expect(full('\\Aq_proj\\Z', 'q_proj')).toBe(true)
  expect(full('(?i)Q_PROJ', 'q_proj')).toBe(true)
  expect(full('q(?#a comment)_proj', 'q_proj')).toBe(true)
  expect(full('a{,2}', 'aa')).toBe(true)
  expect(full('a{,2}', 'aaa')).toBe(false)
  expect(full('{a}', '{a}')).toBe(true)
  expect(full('[]x]+', ']x')).toBe(true)
  expect(full('[^]x]', ']')).toBe(false)
})

it('refuses the rest by name', () => {
  for (const [pattern, why] of [
    ['a++', 'possessive'],
    ['(?>a)', 'a group of another kind'],
    ['(?i:a)', 'a group of another kind'],
    ['(?(1)a|b)', 'a group of another kind'],
    ['\\N{DIGIT ONE}', 'the escape \\\\N'],
    ['\\p{L}', 'the escape \\\\p'],
    ['(a', 'Unterminated group'],
    ['*a', 'Nothing to repeat'],
    ['[a', 'does not end'],
    ['x'.repeat(20_000), '20000 characters'],
  ] as const)
    expect(() => full(pattern, 'a'), pattern).toThrow(new RegExp(why.replaceAll('\\\\', '\\\\')))
})

it('ends in time', () => {
  const start = performance.now()
  const slow = '([a-z.]|[a-z.])+!'
  expect(() => full(slow, 'model.layers.'.repeat(4))).toThrow('takes too long')
  expect(performance.now() - start).toBeLessThan(2000)
  expect(full('(?:a|b)+', 'abab')).toBe(true)
})

it('ends in time over many texts, each of which takes a part of it', () => {
  const start = performance.now()
  const many = Array.from({ length: 500 }, (_, i) => `${'ab'.repeat(10)}.${i}`)
  expect(() => many.map((text) => full('([a-z]|[a-z])+!', text))).toThrow('takes too long')
  expect(performance.now() - start).toBeLessThan(3000)
})
