import { invalidOptions } from '@tunesmith/core'
import type { Dataset } from '../dataset/dataset'

/** Words in a file's name or folder that say which split it belongs to, as Hugging Face datasets reads them. */
const SPLIT_WORDS: Record<string, string> = {
  train: 'train',
  training: 'train',
  validation: 'validation',
  valid: 'validation',
  val: 'validation',
  dev: 'validation',
  test: 'test',
  testing: 'test',
  eval: 'test',
  evaluation: 'test',
}

/** The split a path names, looking at the file's name first and then at its folders, nearest first. */
export function splitOfPath(path: string): string | undefined {
  for (const part of path.split(/[\\/]/).reverse()) {
    for (const word of part.toLowerCase().split(/[^a-z]+/))
      if (Object.hasOwn(SPLIT_WORDS, word)) return SPLIT_WORDS[word]
  }
  return undefined
}

interface SplitPart {
  name: string
  slice?: { from: string | undefined; to: string | undefined }
}

/** Reads `train`, `train+test`, `train[:100]`, `train[10%:20%]`, `test[-50:]`. */
export function parseSplit(expression: string): SplitPart[] {
  return expression.split('+').map((text) => {
    const match = /^\s*([\w.-]+)\s*(?:\[\s*(-?\d+%?)?\s*:\s*(-?\d+%?)?\s*\])?\s*$/.exec(text)
    if (!match)
      throw invalidOptions(`"${expression}" is no split`, {
        where: 'loadDataset, split',
        remedy: "Write 'train', 'train[:1000]', 'train[90%:]' or 'train+validation'",
      })
    return text.includes('[') ? { name: match[1]!, slice: { from: match[2], to: match[3] } } : { name: match[1]! }
  })
}

function bound(text: string | undefined, length: number, otherwise: number): number {
  if (text === undefined) return otherwise
  const number = Number.parseInt(text, 10)
  const rows = text.endsWith('%') ? Math.round((number * length) / 100) : number
  return Math.min(length, Math.max(0, rows < 0 ? length + rows : rows))
}

export function sliceSplit<R>(dataset: Dataset<R>, { slice }: SplitPart): Dataset<R> {
  if (!slice) return dataset
  const from = bound(slice.from, dataset.length, 0)
  const to = bound(slice.to, dataset.length, dataset.length)
  return dataset.skip(from).take(Math.max(0, to - from))
}
