/** Texts with the frequencies of real ones: a word's share falls with its rank. The same number gives the same text in every process. */
import { Random } from '@tunesmith/core'

const SYLLABLES = 'ba con der el fin gra hi ing jo ka lum mor ness or pre qui ration s tion u ver wal y zen'.split(' ')
const COUNT = 60_000

const random = new Random(22, 'words')
const vocabulary = Array.from({ length: COUNT }, () =>
  Array.from({ length: 1 + random.int(4) }, () => random.pick(SYLLABLES)).join(''),
)

/** A passage of 40 to 120 words, in sentences. */
export function words(number) {
  const draw = new Random(number, 'passage')
  return Array.from({ length: 40 + draw.int(81) }, (_, i) => {
    const word = vocabulary[Math.floor(COUNT ** draw.uniform()) - 1]
    return i % 14 === 13 ? `${word}.` : word
  }).join(' ')
}

/** A question of 5 to 14 words. */
export function question(number) {
  const draw = new Random(number, 'question')
  return Array.from({ length: 5 + draw.int(10) }, () => vocabulary[Math.floor(COUNT ** draw.uniform()) - 1]).join(' ')
}

/** A vector near one of 500 centres; texts of the same number lie near the same one. */
export function vector(number, dimensions) {
  const at = new Random(number, 'vector')
  const centre = new Random(at.int(500), 'centre')
  return Float32Array.from({ length: dimensions }, () => centre.uniform() - 0.5 + 0.6 * (at.uniform() - 0.5))
}
