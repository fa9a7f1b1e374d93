import type { MarkedToken, Token, Tokens } from 'marked'
import type { ComponentChildren } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { StreamedBlocks } from './blocks'
import { decodeCharacters } from './characters'
import { Code } from './code'
import { safeLink } from './safe-link'

/** A link where its address is safe, otherwise what it says and where it would lead. */
function Link({ href, children }: { href: string; children: ComponentChildren }) {
  const safe = safeLink(href)
  if (!safe)
    return (
      <>
        {children} ({href})
      </>
    )
  return (
    <a href={safe} title={safe} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  )
}

function List({ list }: { list: Tokens.List }) {
  const items = list.items.map((item, i) => (
    // Items come in order and stay where they are.
    <li key={i}>{children(item.tokens)}</li>
  ))
  if (list.ordered) return <ol start={list.start === '' ? 1 : list.start}>{items}</ol>
  return <ul class={list.items.some(({ task }) => task) ? 'tasks' : undefined}>{items}</ul>
}

function Table({ header, rows }: Tokens.Table) {
  const cells = (row: Tokens.TableCell[], Cell: 'th' | 'td') =>
    row.map(({ tokens, align }, i) => (
      // A cell is its column.
      <Cell key={i} class={align ?? undefined} scope={Cell === 'th' ? 'col' : undefined}>
        {children(tokens)}
      </Cell>
    ))
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard.
    <section class="scrolls" aria-label="Table" tabIndex={0}>
      <table>
        <thead>
          <tr>{cells(header, 'th')}</tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            // Rows stay in order.
            <tr key={i}>{cells(row, 'td')}</tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

/** A token of marked's lexer as a node. Raw HTML is text like any other; images are links, so that an answer cannot call other servers. */
export function toNode(token: MarkedToken): ComponentChildren {
  switch (token.type) {
    case 'space':
    case 'def':
      return null
    case 'hr':
      return <hr />
    case 'br':
      return <br />
    case 'heading':
      // The page has headings of its own, and what a model writes may skip levels: all of it stands below, on one level.
      return <h3 class={`depth-${token.depth}`}>{children(token.tokens)}</h3>
    case 'paragraph':
      return <p>{children(token.tokens)}</p>
    case 'blockquote':
      return <blockquote>{children(token.tokens)}</blockquote>
    case 'code':
      return <Code text={token.text} language={token.lang} />
    case 'list':
      return <List list={token} />
    case 'table':
      return <Table {...token} />
    case 'html':
      return token.block ? <p class="verbatim">{token.text.trimEnd()}</p> : token.text
    case 'escape':
      return token.text
    case 'text':
      return token.tokens ? children(token.tokens) : decodeCharacters(token.text)
    case 'strong':
      return <strong>{children(token.tokens)}</strong>
    case 'em':
      return <em>{children(token.tokens)}</em>
    case 'del':
      return <del>{children(token.tokens)}</del>
    case 'codespan':
      return <code>{token.text}</code>
    case 'checkbox':
      return <input type="checkbox" checked={token.checked} disabled aria-label={token.checked ? 'done' : 'to do'} />
    case 'link':
      return <Link href={token.autolink ? token.href : decodeCharacters(token.href)}>{children(token.tokens)}</Link>
    case 'image':
      return <Link href={decodeCharacters(token.href)}>{token.text ? `Image: ${token.text}` : 'Image'}</Link>
    default:
      return <p class="verbatim">{token.raw}</p>
  }
}

const children = (tokens: readonly Token[]): ComponentChildren[] => tokens.map((token) => toNode(token as MarkedToken))

/** A block keeps its nodes while its token is the same. */
const Block = ({ token }: { token: Token }) => useMemo(() => <>{toNode(token as MarkedToken)}</>, [token])

/** Text in Markdown that may still grow. */
export function Markdown({ text, ended }: { text: string; ended: boolean }) {
  const [blocks] = useState(() => new StreamedBlocks())
  const tokens = useMemo(() => blocks.read(text, ended), [blocks, text, ended])
  return (
    <div class="markdown">
      {tokens.map((token, i) => (
        // Blocks come in order and stay where they are.
        <Block key={i} token={token} />
      ))}
    </div>
  )
}
