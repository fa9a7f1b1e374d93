import { copyJsonSource, type Message } from '@tunesmith/core'

const MARK = '\ue0f2\ue002\ue0f3'
/** Fields that a template compares or looks up and hardly ever prints. */
const KEPT = new Set(['role', 'type', 'id', 'tool_call_id'])

/**
 * The message with a mark before and after each of its texts (content, reasoning, arguments of calls), or undefined when it
 * has none. What a template prints of it then differs from the first text to the last. Names are marked only where there is
 * nothing else: templates repeat the name of a call before its result.
 */
export function withMarks(message: Message): Message | undefined {
  return markTexts(message, new Set([...KEPT, 'name'])) ?? markTexts(message, KEPT)
}

function markTexts(message: Message, kept: ReadonlySet<string>): Message | undefined {
  let marked = false
  const mark = (value: unknown, key = ''): unknown => {
    if (kept.has(key)) return value
    if (typeof value === 'string') {
      if (value.trim() === '') return value
      marked = true
      return MARK + value + MARK
    }
    if (Array.isArray(value))
      return copyJsonSource(
        value,
        value.map((item) => mark(item)),
      )
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value).map(([name, item]) => [name, mark(item, name)])
    return copyJsonSource(value, Object.fromEntries(entries))
  }
  const copy = mark(message) as Message
  return marked ? copy : undefined
}

/** How many units two texts begin with in common. */
export function commonStart(a: string, b: string): number {
  const most = Math.min(a.length, b.length)
  let n = 0
  while (n < most && a.charCodeAt(n) === b.charCodeAt(n)) n++
  return n
}

/** How many units two texts end with in common. */
export function commonEnd(a: string, b: string): number {
  const most = Math.min(a.length, b.length)
  let n = 0
  while (n < most && a.charCodeAt(a.length - 1 - n) === b.charCodeAt(b.length - 1 - n)) n++
  return n
}

/** The place in `(from, to]` before which `text` agrees longest with the end of `source`, and for how long. */
export function alignEnd(source: string, text: string, from: number, to: number): { at: number; length: number } {
  // The Z function of both texts read backwards, a unit that neither has between them: linear in their lengths.
  const units = new Int32Array(source.length + 1 + to)
  for (let i = 0; i < source.length; i++) units[i] = source.charCodeAt(source.length - 1 - i)
  units[source.length] = -1
  for (let i = 0; i < to; i++) units[source.length + 1 + i] = text.charCodeAt(to - 1 - i)
  const z = new Int32Array(units.length)
  let best = { at: to, length: 0 }
  for (let i = 1, left = 0, right = 0; i < units.length; i++) {
    let n = i < right ? Math.min(right - i, z[i - left]!) : 0
    while (i + n < units.length && units[n] === units[i + n]) n++
    if (i + n > right) [left, right] = [i, i + n]
    z[i] = n
    const at = to - (i - source.length - 1)
    if (i > source.length && at > from && n > best.length) best = { at, length: n }
  }
  return best
}

/** Takes the beginning of a tag (`<|`, `[IN`) off the end: where two texts part within one, it is common to neither. */
export function withoutTornTag(text: string): string {
  return text.replace(/[<[][^<>[\]\s]*$/, '')
}
