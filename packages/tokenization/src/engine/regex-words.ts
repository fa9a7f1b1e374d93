import { Untranslatable } from './regex/parse'
import { translateRegex } from './regex/translate'
import type { WordSplitter } from './split-words'

/** A splitter for any expression that can be translated; what no match covers is a word of its own. */
export function regexSplitter(source: string): WordSplitter | undefined {
  let regex: RegExp
  try {
    regex = new RegExp(translateRegex(source), 'gu')
  } catch (error) {
    if (!(error instanceof Untranslatable || error instanceof SyntaxError)) throw error
    return undefined
  }
  // The text of the stretch being cut, made once: each call goes on where the last one stopped.
  let text = ''
  let base = 0
  let stopped = -1
  let limit = -1
  return (units, start, end) => {
    if (start !== stopped || end !== limit) {
      text = Buffer.from(units.buffer, units.byteOffset + start * 2, (end - start) * 2).toString('utf16le')
      base = start
      limit = end
    }
    regex.lastIndex = start - base
    stopped = end
    for (let match = regex.exec(text); match; match = regex.exec(text)) {
      const from = base + match.index
      if (match[0] === '' && from === start) regex.lastIndex += (text.codePointAt(match.index) ?? 0) > 0xffff ? 2 : 1
      else {
        // Also an empty match ends a word.
        stopped = from > start ? from : from + match[0].length
        break
      }
    }
    return stopped
  }
}
