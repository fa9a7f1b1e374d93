import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { commonSubsequence } from '../strings/common-subsequence'

const schema = z.strictObject({
  /** The tokens that were to be tagged. */
  tokens: z.array(z.string()),
  /** The model's answer: one `token : TAG` a line. */
  answer: z.string(),
})

export interface BioReading {
  /** One tag per token; `O` where the answer has none. */
  tags: string[]
  /** Tokens the answer left out. */
  missing: number
  /** Lines that belong to no token, or have no tag. */
  extra: number
}

const LINE = /^(.*\S)\s+:\s+([BI]-\S+|O)\s*$|^(.*\S)\s*[:\t]\s*([BI]-\S+|O)\s*$/

/**
 * Reads tags out of a free answer of `token : TAG` lines (the colon may itself be a token; the last one counts), matching
 * lines to tokens in order, so that a forgotten or an invented line shifts nothing.
 */
export function bioTags(options: z.input<typeof schema>): BioReading {
  const { tokens, answer } = parseOptions(schema, options, 'bioTags')
  const lines = answer.split('\n').filter((line) => line.trim() !== '')
  const read = lines.flatMap((line) => {
    const match = LINE.exec(line)
    return match ? [{ token: (match[1] ?? match[3]).trim(), tag: match[2] ?? match[4] }] : []
  })
  const matched = commonSubsequence(tokens.length, read.length, (i, j) => tokens[i] === read[j].token)
  const tags = new Array<string>(tokens.length).fill('O')
  for (const [i, j] of matched) tags[i] = read[j].tag
  return { tags, missing: tokens.length - matched.length, extra: lines.length - matched.length }
}
