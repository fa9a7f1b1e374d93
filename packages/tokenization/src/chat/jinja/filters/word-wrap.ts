import { take } from '../values/budget'
import { TemplateFault } from '../values/fault'
import { lengthOf, pointSlice, splitLines, stripRight } from '../values/text'
import { indexOf, isText, Markup, textOf, truthy, typeName, Undefined, type Value } from '../values/value'

/** The `wordwrap` filter: each line of the text wrapped for itself, as Python's textwrap does it. */
export function wordWrap(
  value: Value,
  [width = 79, breakLong = true, wrapWith = null, breakOnHyphens = true]: readonly (Value | undefined)[],
): Value {
  if (!isText(value)) {
    if (value instanceof Undefined) value.fail()
    throw new TemplateFault(`'${typeName(value)}' object has no attribute 'splitlines'`)
  }
  if (wrapWith !== null && !isText(wrapWith)) throw new TemplateFault('wrapstring must be a string')
  const newline = wrapWith === null ? '\n' : textOf(wrapWith)
  const settings = { width: indexOf(width), breakLong: truthy(breakLong), breakOnHyphens: breakOnHyphens === true }
  const lines = splitLines(textOf(value)).flatMap((line) => {
    const wrapped = wrap(line, settings)
    return wrapped.length === 0 ? [''] : wrapped
  })
  take(lines.length * newline.length)
  const out = lines.join(newline)
  return wrapWith instanceof Markup ? new Markup(out) : out
}

interface Settings {
  width: number
  breakLong: boolean
  breakOnHyphens: boolean
}

const WS = '[\\t\\n\\v\\f\\r ]'
const NO_WS = '[^\\t\\n\\v\\f\\r ]'
const WORD = '[\\p{L}\\p{N}_]'
const PUNCTUATED = '[\\p{L}\\p{N}_!"\'&.,?]'
const LETTER = '[\\p{L}\\p{Nl}\\p{No}_]'
/** Where a line may break: at space, around a dash between words, after a hyphen between letters. */
const CHUNK = new RegExp(
  `${WS}+|(?<=${PUNCTUATED})-{2,}(?=${WORD})|${NO_WS}+?(?:-(?:(?<=${LETTER}{2}-)|(?<=${LETTER}-${PUNCTUATED}-))(?=${LETTER}-?${LETTER})|(?=${WS}|$)|(?<=${PUNCTUATED})(?=-{2,}${WORD}))`,
  'gu',
)

function chunksOf(line: string, breakOnHyphens: boolean): string[] {
  take(line.length)
  return (breakOnHyphens ? line.match(CHUNK) : line.split(new RegExp(`(${WS}+)`)).filter(Boolean)) ?? []
}

function wrap(line: string, { width, breakLong, breakOnHyphens }: Settings): string[] {
  if (width <= 0) throw new TemplateFault(`invalid width ${width} (must be > 0)`)
  const chunks = chunksOf(line, breakOnHyphens).reverse()
  const lines: string[] = []
  while (chunks.length > 0) {
    const current: string[] = []
    let size = 0
    if (isBlank(chunks.at(-1)!) && lines.length > 0) chunks.pop()
    while (chunks.length > 0 && size + lengthOf(chunks.at(-1)!) <= width) {
      size += lengthOf(chunks.at(-1)!)
      current.push(chunks.pop()!)
    }
    if (chunks.length > 0 && lengthOf(chunks.at(-1)!) > width) {
      if (breakLong) current.push(breakOff(chunks, width - size, breakOnHyphens))
      else if (current.length === 0) current.push(chunks.pop()!)
    }
    if (current.length > 0 && isBlank(current.at(-1)!)) current.pop()
    if (current.length > 0) lines.push(current.join(''))
  }
  return lines
}

const isBlank = (chunk: string) => stripRight(chunk) === ''

/** Takes what fits off a word that is too long for any line, after a hyphen where there is one. */
function breakOff(chunks: string[], space: number, breakOnHyphens: boolean): string {
  const chunk = chunks.at(-1)!
  let end = space
  if (breakOnHyphens && lengthOf(chunk) > space) {
    const hyphen = pointSlice(chunk, 0, space).lastIndexOf('-')
    if (hyphen > 0 && /[^-]/.test(chunk.slice(0, hyphen))) end = lengthOf(chunk.slice(0, hyphen)) + 1
  }
  chunks[chunks.length - 1] = pointSlice(chunk, end, lengthOf(chunk))
  return pointSlice(chunk, 0, end)
}
