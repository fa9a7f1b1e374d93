import { invalidFile } from '@tunesmith/core'
import type { Padding, Truncation } from './engine/tokenizer-json'

/** What is left of a list of tokens: how many, and at which end. */
export interface Cut {
  kept: number
  left: boolean
}

/** How "truncation" of a tokenizer.json cuts `length` tokens that `specials` more are put around, as Rust does for one text. */
export function cutByFile(file: Truncation, length: number, specials: number, where: string): Cut {
  const most = file.max_length - specials
  const left = file.direction === 'Left'
  const impossible = (why: string) =>
    invalidFile(`"truncation" of tokenizer.json cannot be followed: ${why}`, {
      where,
      remedy: 'Pass maxLength, or load with fileLimits: false',
    })
  if (most < 0) throw impossible(`max_length ${file.max_length} has no room for ${specials} special tokens`)
  if (length <= most) return { kept: length, left }
  if (most === 0) return { kept: 0, left }
  if (file.strategy === 'OnlySecond') throw impossible('it would cut a second text, and there is none')
  if (file.stride >= most) throw impossible(`stride ${file.stride} is not less than ${most}`)
  return { kept: most, left }
}

/** The length that "padding" of a tokenizer.json fills up to, given that of the longest text. */
export function paddedLength(file: Padding, longest: number): number {
  const length = file.strategy === 'BatchLongest' ? longest : file.strategy.Fixed
  const multiple = file.pad_to_multiple_of ?? 0
  return multiple > 0 ? Math.ceil(length / multiple) * multiple : length
}
