import { z } from 'zod'

export const chunkSchema = z
  .strictObject({
    /** Longest chunk in tokens. Default 256. */
    maxTokens: z.int().min(1).default(256),
    /** Tokens at most that a chunk repeats of the one before it. Default 32. */
    overlap: z.int().min(0).default(32),
  })
  .refine(({ maxTokens, overlap }) => overlap < maxTokens, {
    path: ['overlap'],
    message: 'must be below maxTokens, or no chunk would get ahead',
  })
export type ChunkOptions = z.input<typeof chunkSchema>

/** A part `[start, end)` of a text, in UTF-16 units. */
export interface Span {
  start: number
  end: number
}

/** The tokens in a text. More text never has fewer. */
export type CountTokens = (text: string) => number

const PIECES = /[\p{L}\p{N}\p{M}_]+|[^\s\p{L}\p{N}\p{M}_]/gu
/** Words and marks of punctuation: about three quarters of what a model's tokenizer counts in English. */
export const countWords: CountTokens = (text) => {
  let count = 0
  PIECES.lastIndex = 0
  while (PIECES.test(text)) count++
  return count
}

/** Where a text may be cut, from the best place to the worst; each match ends a piece. */
const BOUNDARIES = [
  /\n(?=#{1,6} )/g, // before a heading
  /\n[^\S\n]*\n\s*/g, // after a paragraph
  /\n/g,
  /[.!?\u3002\uff01\uff1f]["'\u201d\u2019)\]]*\s*(?=\s|\p{Lu}|\p{Lo})/gu, // after a sentence
  /\s+/g,
]

interface Atom extends Span {
  tokens: number
  /** Index of the boundary that it begins behind; 0 is a heading. */
  level: number
}

/**
 * Cuts a text into chunks at its structure: headings, then paragraphs, lines, sentences, words, and characters where nothing else is left.
 * Chunks cover the whole text in order, and each begins at or before the end of the one before it, so that they give the text back
 * ({@link joinChunks}). A chunk that consists of blank space alone is joined to the one before it.
 */
export function chunkText(
  text: string,
  options: z.output<typeof chunkSchema>,
  count: CountTokens = countWords,
): Span[] {
  const { maxTokens, overlap } = options
  const atoms: Atom[] = []
  cut(text, { start: 0, end: text.length }, 0, 0, maxTokens, count, atoms)
  const chunks: Span[] = []
  for (let first = 0; first < atoms.length; ) {
    let next = first
    let tokens = 0
    while (next < atoms.length && (next === first || tokens + atoms[next]!.tokens <= maxTokens)) {
      // A heading belongs to what follows it, unless the chunk would stay very short.
      if (next > first && atoms[next]!.level === 0 && tokens > maxTokens / 4) break
      tokens += atoms[next++]!.tokens
    }
    const span = { start: atoms[first]!.start, end: atoms[next - 1]!.end }
    const last = chunks.at(-1)
    if (last && text.slice(span.start, span.end).trim() === '') last.end = Math.max(last.end, span.end)
    else chunks.push(span)
    if (next === atoms.length) break
    let back = next
    // No overlap across a heading: it would give a section the end of another one.
    let repeated = 0
    while (back > first + 1 && atoms[back]!.level > 0 && repeated + atoms[back - 1]!.tokens <= overlap) {
      back--
      repeated += atoms[back]!.tokens
    }
    // What is repeated must leave room for something new.
    while (back < next && repeated + atoms[next]!.tokens > maxTokens) repeated -= atoms[back++]!.tokens
    first = back
  }
  return chunks
}

/** The text that the spans of {@link chunkText} cover. */
export function joinChunks(text: string, spans: readonly Span[]): string {
  let joined = ''
  let at = 0
  for (const { start, end } of spans) {
    joined += text.slice(Math.max(at, start), end)
    at = Math.max(at, end)
  }
  return joined
}

/** Adds the atoms of a span: pieces that are not cut further, of `maxTokens` at most. */
function cut(text: string, span: Span, level: number, boundary: number, max: number, count: CountTokens, to: Atom[]) {
  const { start, end } = span
  if (start === end) return
  const part = text.slice(start, end)
  // Sentences are the atoms from which chunks and overlaps are made.
  if (level >= BOUNDARIES.length - 1) {
    const tokens = count(part)
    if (tokens <= max) {
      to.push({ start, end, tokens, level: boundary })
      return
    }
  }
  const expression = BOUNDARIES[level]
  if (!expression) {
    halve(text, span, boundary, max, count, to)
    return
  }
  let at = 0
  let begins = boundary
  for (const match of part.matchAll(expression)) {
    const after = match.index + match[0].length
    if (after === at) continue
    cut(text, { start: start + at, end: start + after }, level + 1, begins, max, count, to)
    at = after
    begins = level
  }
  cut(text, { start: start + at, end }, level + 1, begins, max, count, to)
}

/** A run without blanks: halved until it fits, never inside a character. */
function halve(text: string, span: Span, boundary: number, max: number, count: CountTokens, to: Atom[]) {
  const todo = [span]
  let level = boundary
  while (todo.length > 0) {
    const { start, end } = todo.pop()!
    const tokens = count(text.slice(start, end))
    let middle = (start + end) >> 1
    if (/[\udc00-\udfff]/.test(text[middle]!) && /[\ud800-\udbff]/.test(text[middle - 1] ?? '')) middle++
    if (tokens <= max || middle === start || middle >= end) {
      to.push({ start, end, tokens, level })
      level = BOUNDARIES.length
    } else todo.push({ start: middle, end }, { start, end: middle })
  }
}
