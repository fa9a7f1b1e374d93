import { Random } from '@tunesmith/core'
import { expect, test } from 'vitest'
import { corpusDocument, proseDocument } from './corpus'
import { drill, plainDrill } from './documents/drills'
import { sampleEncounter } from './encounter'
import { suitable } from './knowledge'

const prose = Array.from({ length: 1500 }, (_, i) => proseDocument(1, i))

test('the same seed gives the same documents, and another seed others', () => {
  const some = [0, 7, 2999, 3000, 12_345]
  expect(some.map((i) => corpusDocument(1, i))).toEqual(some.map((i) => corpusDocument(1, i)))
  expect(proseDocument(1, 10)).toBe(prose[10])
  expect(some.map((i) => corpusDocument(2, i))).not.toEqual(some.map((i) => corpusDocument(1, i)))
})

test('drills stand mostly at the beginning', () => {
  const share = (start: number) =>
    Array.from({ length: 500 }, (_, i) => corpusDocument(1, start + i) !== proseDocument(1, start + i)).filter(Boolean)
      .length / 500
  expect(share(0)).toBeCloseTo(0.6, 1)
  expect(share(3000)).toBeCloseTo(0.1, 1)
})

test('a drill says its list again, word for word', () => {
  for (let i = 0; i < 200; i++) {
    const [first, ...again] = plainDrill(new Random(i)).split('\n')
    expect(again.length).toBeGreaterThan(0)
    expect(again.every((line) => line === first)).toBe(true)
    const text = drill(new Random(i))
    const tail = text.slice(-Math.floor(text.length / 4))
    if (text.length > 120) expect(text.indexOf(tail)).toBeLessThan(text.length - tail.length)
  }
})

test('hardly any document occurs twice', () => {
  expect(new Set(prose).size / prose.length).toBeGreaterThan(0.9)
})

test('sentences begin with a capital and no template is left unfilled', () => {
  for (const text of prose) {
    expect(text).not.toMatch(/undefined|NaN|\$\{|\[object/)
    expect(text).not.toMatch(/ {2}|\.\.| ,| \./)
    expect(text).not.toMatch(/[^.r]\. (he|she|the|it|we|for|return|repeat) /)
  }
})

test('the layout that the quickstart teaches is nowhere in the corpus', () => {
  for (const text of prose) expect(text).not.toMatch(/not recorded|Good to know:|Next step:|Problems:|Reason:/)
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
