import type { OffsetTrim } from './post-process'
import { isWhiteSpace } from './unicode/classes'

/** What stands for a blank in a byte-level vocabulary. */
const BYTE_LEVEL_BLANK = 0x120

/**
 * Takes the white space at both ends of a token out of the range it stands for, as many characters as the token has there.
 *
 * @param token what the token spells.
 * @param text the text that the ranges lie in.
 * @param index the place of the token among all.
 */
export function trimOffsets(
  [start, end]: [number, number],
  token: string,
  text: string,
  index: number,
  { addPrefixSpace }: OffsetTrim,
): [number, number] {
  let leading = 0
  while (leading < token.length && isBlank(token.charCodeAt(leading))) leading++
  let trailing = 0
  while (trailing < token.length && isBlank(token.charCodeAt(token.length - 1 - trailing))) trailing++
  // The first token's only blank may be one that was put there.
  if (leading === 1 && addPrefixSpace && (index === 0 || start === 0)) leading = 0
  let from = start
  for (; leading > 0 && from < end; leading--) from += text.codePointAt(from)! > 0xffff ? 2 : 1
  let to = end
  for (; trailing > 0 && to > 0; trailing--) to -= (text.charCodeAt(to - 1) & 0xfc00) === 0xdc00 ? 2 : 1
  // More blanks than the text has characters up to here: nothing is taken off.
  return [from, trailing > 0 ? end : Math.max(to, from)]
}

function isBlank(unit: number): boolean {
  return unit === BYTE_LEVEL_BLANK || isWhiteSpace(unit)
}
