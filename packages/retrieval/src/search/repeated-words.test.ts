import { Random } from '@tunesmith/core'
import { expect, it } from 'vitest'
import { scoreWords, type WordScores } from './repeated-words'

it('finds the best chunks of a question that repeats words, and asks for little more', async () => {
  for (let seed = 0; seed < 60; seed++) {
    const random = new Random(seed)
    const vocabulary = ['often', 'also', 'rare', 'seldom', 'never']
    // Frequent words score little, rare ones much and in few chunks.
    const scores = vocabulary.map(
      (_, w) =>
        new Map(
          Array.from({ length: 500 }, (_, chunk) => [String(chunk), random.uniform() * (w + 1)] as const).filter(
            () => random.uniform() < 1 / (w * w + 1),
          ),
        ),
    )
    let asked = 0
    const search: WordScores = async (words, { limit, among }) => {
      asked++
      expect(new Set(words).size).toBe(words.length)
      const sums = new Map<string, number>()
      for (const word of words)
        for (const [chunk, score] of scores[vocabulary.indexOf(word)]!)
          if (!among || among.includes(chunk)) sums.set(chunk, (sums.get(chunk) ?? 0) + score)
      return new Map([...sums].sort((a, b) => b[1] - a[1]).slice(0, limit))
    }
    const question = Array.from({ length: 1 + random.int(8) }, () => random.pick(vocabulary))
    const all = new Map<string, number>()
    for (const word of question)
      for (const [chunk, score] of scores[vocabulary.indexOf(word)]!) all.set(chunk, (all.get(chunk) ?? 0) + score)
    const wanted = [...all].sort((a, b) => b[1] - a[1]).slice(0, 10)
    const found = (await scoreWords(question, 10, search)).slice(0, 10)
    expect(found.map(({ key }) => key)).toEqual(wanted.map(([key]) => key))
    found.forEach(({ score }, i) => {
      expect(score).toBeCloseTo(wanted[i]![1], 9)
    })
    if (new Set(question).size === question.length) expect(asked).toBe(1)
  }
  expect(await scoreWords([], 10, async () => new Map())).toEqual([])
})
