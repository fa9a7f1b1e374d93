import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'

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
  const [n, m] = [tokens.length, read.length]
  const stride = m + 1
  // longest[i, j]: most tokens from i on that lines from j on can be matched to, in order.
  const longest = new Uint32Array((n + 1) * stride)
  for (let i = n - 1; i >= 0; i--)
    for (let j = m - 1; j >= 0; j--)
      longest[i * stride + j] =
        tokens[i] === read[j].token
          ? longest[(i + 1) * stride + j + 1] + 1
          : Math.max(longest[(i + 1) * stride + j], longest[i * stride + j + 1])
  const tags = new Array<string>(n).fill('O')
  let [i, j, matched] = [0, 0, 0]
  while (i < n && j < m) {
    if (tokens[i] === read[j].token) {
      tags[i++] = read[j++].tag
      matched++
    } else if (longest[(i + 1) * stride + j] >= longest[i * stride + j + 1]) i++
    else j++
  }
  return { tags, missing: n - matched, extra: lines.length - matched }
}
