import { type ExampleRow, IGNORE_INDEX, parseOptions } from '@tunesmith/core'
import { byteOfToken, CHAR_TO_BYTE } from '../engine/bytes'
import { buildExample, type Example } from '../example/build'
import { type ExampleOptions, exampleOptions } from '../example/options'
import type { Tokenizer } from '../tokenizer'
import { chatOf, endIds, endOfTurnNote, rewritesEarlierTurns, unprintedFields } from './prints'
import { type InspectWarning, warningsOf } from './warnings'

/** One token as the loss sees it. */
export interface InspectedToken {
  id: number
  /** Its text as far as it can be shown alone: bytes of an unfinished character show as `<0xE2>`. */
  text: string
  trained: boolean
  special: boolean
}

/** What a row looks like to the model. */
export interface Inspection {
  tokens: InspectedToken[]
  trained: number
  warnings: InspectWarning[]
  /** What ends a turn of the assistant, in a sentence; undefined for a row that is no conversation. */
  endOfTurn: string | undefined
  example: Example
}

/**
 * Shows one row as the trainer will see it: each token, whether the loss sees it, and the mistakes that ruin fine-tunes.
 * Print it with `renderTerminal` or `renderHtml`.
 *
 * @throws {TunesmithError} as `buildExample` does.
 */
export function inspect(tokenizer: Tokenizer, row: ExampleRow, input: ExampleOptions = {}): Inspection {
  const { example, warnings } = checkRow(tokenizer, row, input)
  const endOfTurn = endOfTurnNote(tokenizer, row, parseOptions(exampleOptions, input, 'inspect'))
  const tokens = example.inputIds.map((id, i) => ({
    id,
    text: shownText(tokenizer, id),
    trained: example.labels[i] !== IGNORE_INDEX,
    special: tokenizer.isSpecial(id),
  }))
  const trained = tokens.filter((token) => token.trained).length
  return { tokens, trained, warnings, endOfTurn, example }
}

/** A row's example and the mistakes in it. */
export function checkRow(tokenizer: Tokenizer, row: ExampleRow, input: ExampleOptions) {
  const options = parseOptions(exampleOptions, input, 'inspect')
  const example = buildExample(tokenizer, row, input)
  const chat = chatOf(tokenizer, row, options)
  const found = { rewrites: rewritesEarlierTurns(chat), unprinted: unprintedFields(chat), ends: () => endIds(chat) }
  return { example, warnings: warningsOf(tokenizer, row, example, found) }
}

/** A token's own text. The space a decoder drops from the first token of a text is kept. */
function shownText(tokenizer: Tokenizer, id: number): string {
  const token = tokenizer.idToToken(id)
  if (token === undefined) return `<unknown id ${id}>`
  if (tokenizer.isSpecial(id)) return token
  const alone = tokenizer.decode([id])
  const twice = tokenizer.decode([id, id])
  const text = twice.endsWith(alone) ? twice.slice(alone.length) : alone
  return text.includes('\ufffd') ? bytesOf(token) : text
}

/** A piece of a character: its bytes, as far as they are not text by themselves. */
function bytesOf(token: string): string {
  if (byteOfToken(token) !== -1) return token
  let out = ''
  for (const char of token) {
    const byte = CHAR_TO_BYTE[char.charCodeAt(0)] ?? -1
    if (byte === -1) return token
    out += byte < 0x80 ? String.fromCharCode(byte) : `<0x${byte.toString(16).toUpperCase()}>`
  }
  return out
}
