import { Random } from '@tunesmith/core'
import { expect, test } from 'vitest'
import { corpus, corpusDocument } from './corpus'
import { sampleEncounter } from './encounter'
import { suitable } from './knowledge'

const documents = Array.from({ length: 1500 }, (_, i) => corpusDocument(1, i))

test('the same seed gives the same documents, and another seed others', () => {
  expect(Array.from({ length: 50 }, (_, i) => corpusDocument(1, i))).toEqual(documents.slice(0, 50))
  const rest = corpus(1, 10)
  expect(rest.next().value).toBe(documents[10])
  expect(corpusDocument(2, 0)).not.toBe(documents[0])
})

test('hardly any document occurs twice', () => {
  expect(new Set(documents).size / documents.length).toBeGreaterThan(0.9)
})

test('sentences begin with a capital and no template is left unfilled', () => {
  for (const text of documents) {
    expect(text).not.toMatch(/undefined|NaN|\$\{|\[object/)
    expect(text).not.toMatch(/ {2}|\.\.| ,| \./)
    expect(text).not.toMatch(/[^.r]\. (he|she|the|it|we|for|return|repeat) /)
  }
})

test('the layout that the quickstart teaches is nowhere in the corpus', () => {
  for (const text of documents) expect(text).not.toMatch(/not recorded|Good to know:|Next step:|Problems:|Reason:/)
})

test('nobody takes medicines that do not go together', () => {
  for (let i = 0; i < 2000; i++) {
    const { prescriptions, conditions, allergy } = sampleEncounter(new Random(3, String(i)))
    prescriptions.forEach(({ medication }, at) => {
      const others = prescriptions.filter((_, j) => j !== at).map((item) => item.medication)
      const names = conditions.map(({ name }) => name)
      expect(suitable(medication, names, others, allergy), medication.name).toBe(true)
    })
  }
})
