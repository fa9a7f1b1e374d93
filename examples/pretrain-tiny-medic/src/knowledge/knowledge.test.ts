import { expect, test } from 'vitest'
import { conditions, labTestNamed, labTests, medicationNamed, medications } from './index'

test('every name that a condition mentions is in the knowledge base', () => {
  for (const condition of conditions) {
    for (const name of condition.medications) expect(medicationNamed(name).name).toBe(name)
    for (const name of condition.labs) expect(labTestNamed(name).name).toBe(name)
  }
})

test('every medicine is used for something, and no name occurs twice', () => {
  for (const { name } of medications)
    expect(
      conditions.some((condition) => condition.medications.includes(name)),
      name,
    ).toBe(true)
  for (const entries of [conditions, medications, labTests])
    expect(new Set(entries.map(({ name }) => name)).size).toBe(entries.length)
})

test('no entry has an empty or unfinished text', () => {
  for (const entry of [...conditions, ...medications, ...labTests])
    for (const [field, value] of Object.entries(entry)) {
      const texts = Array.isArray(value) ? value : [value]
      for (const text of texts)
        if (typeof text === 'string') expect(text, `${entry.name}, ${field}`).toMatch(/^\S.*\S$|^%$/)
    }
})

test('the normal range of every test lies within the values that are met', () => {
  for (const { name, normal, met } of labTests) {
    expect(normal[0], name).toBeLessThan(normal[1])
    expect(met[0], name).toBeLessThan(met[1])
    expect(Math.min(met[1], normal[1]), name).toBeGreaterThan(Math.max(met[0], normal[0]))
  }
})
