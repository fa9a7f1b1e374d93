import type { Token } from 'marked'
import { describe, expect, it } from 'vitest'
import { StreamedBlocks } from './blocks'
import { decodeCharacters } from './characters'
import { lex } from './lex'
import { safeLink } from './safe-link'

const TEXT = `# Title

A paragraph with *emphasis*,
over two lines.
Title of another kind
===

- one
- two

  still two
- three
  1. inner

     with a paragraph

2) other list

\`\`\`js
const a = 1

const b = 2
\`\`\`

> quoted
lazily

| a | b |
| - | - |
| 1 | 2 |

    indented

    code

<div>
raw
</div>

last words`

const bare = (tokens: readonly Token[]) => tokens.filter(({ type }) => type !== 'space').map(({ raw }) => raw.trim())

describe('Markdown that arrives bit by bit', () => {
  it.each([1, 2, 3, 7, 50])('is settled as the whole text is read, in pieces of %i', (length) => {
    const blocks = new StreamedBlocks(() => 0)
    let shown: Token[] = []
    for (let end = length; end < TEXT.length + length; end += length) shown = blocks.read(TEXT.slice(0, end), false)
    expect(bare(shown)).toEqual(bare(lex(TEXT)))
    expect(bare(blocks.read(TEXT, true))).toEqual(bare(lex(TEXT)))
  })

  it('keeps the blocks before the last one', () => {
    const blocks = new StreamedBlocks(() => 0)
    const before = blocks.read('one\n\ntwo\n\nthree is the third', false)
    const after = blocks.read('one\n\ntwo\n\nthree is the third, and goes on', false)
    expect(after.slice(0, 4).every((token, i) => token === before[i])).toBe(true)
    expect(after.at(-1)!.raw).toBe('three is the third, and goes on')
    expect(bare(blocks.read('another answer altogether', false))).toEqual(['another answer altogether'])
  })

  it('is left alone for a while where it takes long', () => {
    let time = 0
    const blocks = new StreamedBlocks(() => {
      time += 50
      return time
    })
    const shown = blocks.read('some words', false)
    expect(blocks.read('some words more', false)).toBe(shown)
    time += 1000
    expect(bare(blocks.read('some words more', false))).toEqual(['some words more'])
    expect(bare(blocks.read('some words more and more', true))).toEqual(['some words more and more'])
  })
})

describe('text that would take a browser too far', () => {
  it('is shown as it is', () => {
    const deep = '> '.repeat(5000)
    for (const text of [deep, `${'- '.repeat(300)}x`, 'a'.repeat(100_001), `[a](${'b'.repeat(200_000)})`])
      expect(lex(text)).toEqual([{ type: 'plain', raw: text }])
    expect(lex('> > > three deep')[0]!.type).toBe('blockquote')
  })

  it('is a plain paragraph where only that is too long', () => {
    const [first, , second] = lex(`*short*\n\n${'***a** '.repeat(5000)}`)
    expect((first as { tokens: Token[] }).tokens[0]!.type).toBe('em')
    expect((second as { tokens: Token[] }).tokens.map(({ type }) => type)).toEqual(['text'])
  })
})

it('links lead to the web and to mail only', () => {
  for (const good of ['https://example.org/a?b=c#d', 'http://example.org/', 'mailto:a@example.org'])
    expect(safeLink(good)).toBe(good)
  const bad = [
    'javascript:alert(1)',
    ' JaVa\nScRiPt:alert(1)',
    '\u0001javascript:alert(1)',
    'data:text/html,x',
    'file:///etc',
  ]
  for (const href of [...bad, 'vbscript:x', 'blob:https://example.org/x', '//example.org', '/v1/models', 'a.html', ''])
    expect(safeLink(href)).toBeUndefined()
})

it('character references are the characters they stand for', () => {
  expect(decodeCharacters('a &lt;b&gt; &amp;amp; &#233; &#xE9; &copy; &unknown; & &#0; &#xD800; &#x110000;')).toBe(
    'a <b> &amp; é é © &unknown; & \ufffd \ufffd \ufffd',
  )
})
