import { IGNORE_INDEX, invalidData, type TokenizedExample, type TokenList } from '@tunesmith/core'

/** Tokens `start` to `end` (exclusive) of an example; a view where its ids are a typed array. */
export function sliceExample(example: TokenizedExample, start: number, end: number): TokenizedExample {
  if (start === 0 && end === example.inputIds.length) return example
  const part = (list: TokenList) => (list instanceof Int32Array ? list.subarray(start, end) : list.slice(start, end))
  return { inputIds: part(example.inputIds), labels: part(example.labels) }
}

/** Whether any position of a sequence has a target, once labels are shifted: its first label has nothing before it. */
export function hasTargets(labels: TokenList): boolean {
  for (let t = 1; t < labels.length; t++) if (labels[t] !== IGNORE_INDEX) return true
  return false
}

/**
 * Refuses an example that is none: as many labels as token ids, ids from 0 on, and -100 as the only label below.
 *
 * @param where the row, for the error.
 * @throws {TunesmithError} `invalid_data` with the row and the place in it.
 */
export function checkTokenized({ inputIds, labels }: TokenizedExample, where: string): void {
  if (inputIds.length !== labels.length)
    throw invalidData(`An example has ${inputIds.length} token ids but ${labels.length} labels`, {
      where,
      remedy: 'Give one label for each token, -100 where nothing is learnt',
    })
  for (let t = 0; t < labels.length; t++) {
    const [id, label] = [inputIds[t]!, labels[t]!]
    if (!isId(id)) throw invalidData(`The token id ${id} is none`, { where: `${where}, inputIds[${t}]` })
    if (label !== IGNORE_INDEX && !isId(label))
      throw invalidData(`The label ${label} is no token id and not -100`, {
        where: `${where}, labels[${t}]`,
        remedy: 'Write -100 where nothing is learnt',
      })
  }
}

const isId = (id: number) => id >= 0 && Number.isInteger(id)
