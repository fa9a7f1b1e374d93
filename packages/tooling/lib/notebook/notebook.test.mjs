import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { instrument, parseCells } from './cells.mjs'
import { exampleCommand, sourceHash } from './examples.mjs'
import { highlight } from './highlight.mjs'
import { renderNotebook, settle } from './render.mjs'

const SOURCE = `// %% [markdown]
// # A *small* notebook
// With \`code\` and a stray <b>.

// %% Imports are hoisted
import { basename } from 'node:path'
const answer: number = await Promise.resolve(42)
console.log('the answer', answer, basename('a/b'))

// %%
await new Promise<void>((resolve) => setTimeout(resolve, 5))
console.error('a note')
;(globalThis as any).__notebook.show({ kind: 'table', header: ['name', 'score'], rows: [['<base>', '0.5']] }, () => console.log('as text'))
console.log(new Error('x').stack!.split('\\n')[1])
`

it('reads prose and code', () => {
  expect(parseCells(SOURCE)).toEqual([
    { kind: 'markdown', title: '', line: 1, text: '# A *small* notebook\nWith `code` and a stray <b>.' },
    expect.objectContaining({ kind: 'code', title: 'Imports are hoisted', line: 5 }),
    expect.objectContaining({ kind: 'code', title: '', line: 10 }),
  ])
  expect(() => parseCells('// %% [markdown]\nlet x = 1')).toThrow(/no comment/)
  expect(() => parseCells('// %% [python]')).toThrow(/not \[python\]/)
})

it('keeps the line numbers of the script', () => {
  const lines = instrument(SOURCE).split('\n')
  expect(lines).toHaveLength(SOURCE.split('\n').length)
  expect(lines[4]).toBe(';globalThis.__notebook?.enter(1);')
  expect(lines[0]).toBe('// %% [markdown]')
})

it('runs a script, records what each cell prints and shows, and renders it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'notebook-test-'))
  const script = join(folder, 'small.mts')
  const record = join(folder, 'record.jsonl')
  writeFileSync(script, SOURCE)
  const [file, args] = exampleCommand({ script }, [])
  const printed = execFileSync(file, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, TUNESMITH_NOTEBOOK: pathToFileURL(script).href, TUNESMITH_NOTEBOOK_RECORD: record },
  })
  expect(printed).toMatch(/^the answer 42 b\nas text\n.*small\.mts:14:/)
  const outputs = readFileSync(record, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(outputs.slice(0, 3)).toEqual([
    { cell: 1, kind: 'stdout', text: 'the answer 42 b\n' },
    { cell: 2, kind: 'stderr', text: 'a note\n' },
    { cell: 2, kind: 'table', header: ['name', 'score'], rows: [['<base>', '0.5']] },
  ])
  const page = renderNotebook({ source: SOURCE, outputs, command: 'pnpm notebook x' })
  expect(page).toContain(`<meta name="source-sha256" content="${sourceHash(SOURCE)}">`)
  expect(page).toContain('<title>A *small* notebook</title>')
  expect(page).toContain('<h1>A <em>small</em> notebook</h1>')
  expect(page).toContain('a stray &lt;b&gt;')
  expect(page).toMatch(/<summary>imports<\/summary><pre><code><span class="keyword">import<\/span> \{ basename/)
  expect(page).toContain('<pre class="text">the answer 42 b</pre>')
  expect(page).toContain('<td>&lt;base&gt;</td><td class="n">0.5</td>')
  expect(page).toContain('log, 1 line')
  expect(page.split('as text')).toHaveLength(2) // only in the code
  expect(page).not.toMatch(/<script|https?:\/\//)
})

it('tells regular expressions from divisions and reads nested templates', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code to be highlighted
  const html = highlight('const a = b / 2 // half\nconst c = /x<y/.test(`n ${d ? `${1}` : "q"} m`)')
  expect(html).toContain('<span class="number">2</span> <span class="comment">// half</span>')
  expect(html).toContain('<span class="string">/x&lt;y/</span>')
  expect(html).toContain('<span class="string">} m`</span>')
  expect(html.replace(/<[^>]+>/g, '')).toBe(
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code to be highlighted
    'const a = b / 2 // half\nconst c = /x&lt;y/.test(`n ${d ? `${1}` : &quot;q&quot;} m`)',
  )
})

it('leaves out logs of mere progress, and spreads tables of text', () => {
  const outputs = [
    { cell: 1, kind: 'stderr', text: 'before: 24/46 7s<7s\nbefore: 46/46 14s<0s\n' },
    { cell: 2, kind: 'table', header: ['a', 'b', 'c'], rows: [['x'.repeat(90), 'y\ny', 'z']], caption: '' },
  ]
  const page = renderNotebook({ source: SOURCE, outputs, command: 'x' })
  expect(page).not.toContain('24/46')
  expect(page).toContain('<table class="wide">')
})

it('settles rewritten lines of a terminal', () => {
  expect(settle('\r10%\x1b[K\r90%\x1b[K\ndone\n')).toBe('90%\ndone')
})
