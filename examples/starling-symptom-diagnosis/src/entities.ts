import { bioTags, type CorpusMetric, entitiesOf } from '@tunesmith/eval-metrics'
import type { InstructionRow } from './rows'

/**
 * The entities that an answer names, each as a text that is equal only for the same type and place: `Disease 3-4` for lines
 * of `token : TAG`, `Chemical aspirin` for lists, where a name that is written twice counts twice.
 */
export function readEntities({ input, output }: Pick<InstructionRow, 'input' | 'output'>, answer: string): string[] {
  if (!/^(Chemical|Disease): /.test(output)) {
    const { tags } = bioTags({ tokens: input.split(' '), answer })
    return entitiesOf(tags, false).map(({ type, start, end }) => `${type} ${start}-${end}`)
  }
  const seen = new Map<string, number>()
  return answer.split('\n').flatMap((line) => {
    const [, type, names = ''] = /^(Chemical|Disease): (.*)$/.exec(line) ?? []
    return names
      .split(' ; ')
      .map((name) => name.trim())
      .filter((name) => name !== '' && name !== 'none')
      .map((name) => {
        const key = `${type} ${name}`
        seen.set(key, (seen.get(key) ?? 0) + 1)
        return seen.get(key) === 1 ? key : `${key} (${seen.get(key)})`
      })
  })
}

/**
 * Micro F1 of whole entities. Predictions and references are entities as {@link readEntities} gives them, one per line, so
 * that both answer formats count alike.
 */
export const entityF1: CorpusMetric = {
  name: 'entity F1',
  higherIsBetter: true,
  statistics(prediction, [reference]) {
    const lines = (text: string) => text.split('\n').filter((line) => line !== '')
    const wanted = new Set(lines(reference!))
    const found = lines(prediction)
    return [found.filter((entity) => wanted.has(entity)).length, found.length, wanted.size]
  },
  score([correct, found, wanted]: ArrayLike<number> & Iterable<number>) {
    return found! + wanted! === 0 ? 1 : (2 * correct!) / (found! + wanted!)
  },
  signature: () => ({ signature: 'micro F1 of whole entities, type and place', signatureShort: 'entity F1' }),
}
