import type { Random } from '@tunesmith/core'

/** True with probability `p`. */
export const chance = (random: Random, p: number): boolean => random.uniform() < p

/** An integer from `low` to `high`, both included. */
export const between = (random: Random, low: number, high: number): number => low + random.int(high - low + 1)

/** Up to `count` different elements, in random order. */
export const sample = <Item>(random: Random, items: readonly Item[], count: number): Item[] =>
  random.shuffle([...items]).slice(0, count)

/** "a", "a and b", "a, b and c". */
export function joinAnd(items: readonly string[], conjunction = 'and'): string {
  if (items.length < 2) return items.join('')
  return `${items.slice(0, -1).join(', ')} ${conjunction} ${items.at(-1)}`
}

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** "a baker", "an accountant", "a uric acid", "an LDL": by sound, for the words that occur here. */
export const withArticle = (noun: string): string => `${/^(?!ur)[aeiou]|^LDL/i.test(noun) ? 'an' : 'a'} ${noun}`

/** Sentences to one paragraph: the first letter of each in capitals, empty ones left out. */
export const paragraph = (...sentences: string[]): string =>
  sentences
    .filter((sentence) => sentence !== '')
    .map(capital)
    .join(' ')

/** Parts with an empty line between, empty ones left out. */
export const document = (...parts: string[]): string => parts.filter((part) => part !== '').join('\n\n')

/** A list in one of the shapes that people write by hand. */
export function bullets(random: Random, items: readonly string[]): string {
  const mark = random.pick(['- ', '* ', 'number'])
  return items.map((item, i) => `${mark === 'number' ? `${i + 1}. ` : mark}${item}`).join('\n')
}

/** "It helps to ..." lists and the like: a few items of a list, joined. */
export const some = (random: Random, items: readonly string[], most: number): string =>
  joinAnd(sample(random, items, between(random, 1, most)))
