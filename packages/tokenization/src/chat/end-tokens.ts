/** `<|im_end|>`, `</s>`, `[|endofturn|]`, `<｜end▁of▁sentence｜>`: text in brackets, without space. */
const TAG = /<[^<>\s]+>|\[[^[\]\s]+\]/g
const END_NAME = /(?:^|[^a-z])(?:end|eos|eot|eom)(?![a-z])|end_?of|^(?:\/s|return|call)$/i

/** Whether a tag is named as the end of a turn. */
export function isEndTag(tag: string): boolean {
  const name = tag.slice(1, -1).replaceAll(/[|｜]/g, '')
  return END_NAME.test(name) && (name === '/s' || !name.startsWith('/')) && !name.includes('header')
}

/**
 * The end tokens of a turn in `tail`, which follows what was said in it: the first tags named as ends, or `eos`, that stand
 * side by side before another turn opens; `[0, 0]` when there are none. With `anyTag`, a tag that follows at once is one.
 */
export function endTokensOf(tail: string, eos: string | undefined, anyTag = false): [start: number, end: number] {
  const tags = [...tail.matchAll(TAG)].map(({ 0: tag, index }) => ({ tag, index }))
  const at = eos ? tail.indexOf(eos) : -1
  if (at !== -1 && !tags.some(({ index }) => index === at)) tags.push({ tag: eos!, index: at })
  let span: [number, number] = [0, 0]
  for (const { tag, index } of tags.sort((a, b) => a.index - b.index)) {
    const [start, end] = span
    if (end > 0 && index !== end) break
    const follows = anyTag && tail.slice(0, index).trim() === '' && !OPENING.test(tag) && !tag.startsWith('</')
    if (tag === eos || isEndTag(tag) || follows) span = [end > 0 ? start : index, index + tag.length]
    else if (end > 0 || OPENING.test(tag)) break
  }
  return span
}
const OPENING = /^<[|｜]|^\[[A-Z]|^<s>$/

/** Whether a turn ends with an end token. */
export function endsWithEndToken(turn: string, eos: string | undefined): boolean {
  const closed = turn.trimEnd()
  if (eos && closed.endsWith(eos)) return true
  const last = [...closed.matchAll(TAG)].at(-1)
  return last !== undefined && last.index + last[0].length === closed.length && isEndTag(last[0])
}

/** The end tokens that stand side by side at the end of a turn: special tokens, or tags that are named as ends. */
export function endTags(turn: string, special: readonly string[]): string[] {
  const longestFirst = special.toSorted((a, b) => b.length - a.length)
  const found: string[] = []
  for (let rest = turn.trimEnd(); rest !== ''; ) {
    const tag = [...rest.matchAll(TAG)].at(-1)
    const named = tag && tag.index + tag[0].length === rest.length && isEndTag(tag[0]) ? tag[0] : undefined
    const token = longestFirst.find((candidate) => rest.endsWith(candidate)) ?? named
    if (token === undefined) break
    found.unshift(token)
    rest = rest.slice(0, rest.length - token.length).trimEnd()
  }
  return found
}
