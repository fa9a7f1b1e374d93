import { readFileSync } from 'node:fs'
import { Tokenizer } from '@huggingface/tokenizers'
import { expect, test } from 'vitest'
import { proseDocument } from '../corpus'
import { countPieces, learnMerges } from './bpe'
import { byteCharacters } from './bytes'
import { SPECIAL_TOKENS } from './files'

const readModel = (name: string) => JSON.parse(readFileSync(new URL(`../../model/${name}`, import.meta.url), 'utf8'))

test('the worked example of the BPE paper: low, lower, newest, widest', () => {
  const pieces = new Map([
    ['low', 5],
    ['lower', 2],
    ['newest', 6],
    ['widest', 3],
  ])
  const merges = learnMerges(pieces, 7).map((pair) => pair.join('+'))
  expect(merges).toEqual(['e+s', 'es+t', 'l+o', 'lo+w', 'e+w', 'ew+est', 'n+ewest'])
})

test('equal counts are settled by string order, not by the order of the texts', () => {
  expect(
    learnMerges(
      new Map([
        ['ba', 2],
        ['ab', 2],
      ]),
      2,
    ),
  ).toEqual([
    ['a', 'b'],
    ['b', 'a'],
  ])
})

test('learning stops when no pair occurs twice', () => {
  expect(learnMerges(new Map([['abc', 1]]), 5)).toEqual([])
})

test('digits stand alone, with the space before the first', () => {
  expect([...countPieces(['take 125 mg (2x)']).keys()]).toEqual(['take', ' 1', '2', '5', ' mg', ' (', 'x', ')'])
})

test('every byte has a character of its own', () => {
  expect(new Set(byteCharacters).size).toBe(256)
  expect(byteCharacters.every((character) => character.trim() === character && character.length === 1)).toBe(true)
})

test('the committed tokenizer gives back what it was given', () => {
  const tokenizer = new Tokenizer(readModel('tokenizer.json'), readModel('tokenizer_config.json'))
  for (const text of ['Metformin 850 mg, twice daily.', '  Ünïcode – 微笑 😀\n\n\ttabs', proseDocument(9, 1)])
    expect(tokenizer.decode(tokenizer.encode(text).ids)).toBe(text)
})

test('the committed tokenizer has 2048 entries, its special tokens first', () => {
  const { model } = readModel('tokenizer.json')
  const ids = Object.values<number>(model.vocab).sort((a, b) => a - b)
  expect(ids).toEqual(Array.from({ length: 2048 }, (_, id) => id))
  expect(SPECIAL_TOKENS.map((token) => model.vocab[token])).toEqual([0, 1, 2, 3])
})
