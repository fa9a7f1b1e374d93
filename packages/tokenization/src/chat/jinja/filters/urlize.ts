import { occurrences } from '../methods/text-methods'
import { spend, take } from '../values/budget'
import { TemplateFault } from '../values/fault'
import { iterate } from '../values/iterate'
import { escaped } from '../values/operators'
import { escapeMarkup, lengthOf, pointSlice, SPACE } from '../values/text'
import { indexOf, isText, Markup, textOf, truthy, type Value } from '../values/value'
import type { Environment } from './filter'

const W = '[\\p{L}\\p{N}_]'
const HTTP = new RegExp(
  `^((https?://|www\\.)((?:[\\p{L}\\p{N}_%-]+\\.)+)?([a-z]{2,63}|xn--[\\p{L}\\p{N}_%]{2,59})|([\\p{L}\\p{N}_%-]{2,63}\\.)+(com|net|int|edu|gov|org|info|mil)|(https?://)((\\p{Nd}{1,3}(\\.\\p{Nd}{1,3}){3})|(\\[([\\p{Nd}a-f]{0,4}:){2}([\\p{Nd}a-f]{0,4}:?){1,6}\\])))(?::\\p{Nd}{1,5})?(?:[/?#][^${SPACE}]*)?\\n?$`,
  'iu',
)
const EMAIL = new RegExp(`^[^${SPACE}]+@${W}[\\p{L}\\p{N}_.-]*\\.${W}+\\n?$`, 'u')
const SCHEME = /^[\p{L}\p{N}_.+-]{2,}:\/{0,2}$/u

/** The words of prose are shorter; the patterns take quadratic time of the length of one. */
const LONGEST_WORD = 4_000

/** The `urlize` filter: web and mail addresses become links. */
export function urlize(
  value: Value,
  [limit = null, nofollow = false, target = null, rel = null, schemes = null]: readonly (Value | undefined)[],
  { autoescape }: Environment,
): Value {
  const rels = new Set(['noopener', ...(rel !== null && truthy(rel) ? needText(rel).split(/\s+/).filter(Boolean) : [])])
  if (truthy(nofollow)) rels.add('nofollow')
  const extra = schemes === null ? [] : Array.from(iterate(schemes), needText)
  for (const scheme of extra)
    if (!SCHEME.test(scheme)) throw new TemplateFault(`'${scheme}' is not a valid URI scheme prefix.`)
  const attributes = ` rel="${escapeMarkup([...rels].sort().join(' '))}"${target !== null && truthy(target) ? ` target="${escaped(target)}"` : ''}`
  const most = limit === null ? Number.POSITIVE_INFINITY : indexOf(limit)
  const shown = (url: string) => (lengthOf(url) > most ? `${cut(url, most)}...` : url)
  const out = escaped(value)
    .split(new RegExp(`([${SPACE}]+)`))
    .map((word) => linkedWord(word, attributes, shown, extra))
    .join('')
  take(out.length)
  return autoescape ? new Markup(out) : out
}

const cut = (url: string, most: number) => pointSlice(url, 0, most < 0 ? Math.max(0, most + lengthOf(url)) : most)

function needText(value: Value): string {
  if (!isText(value)) throw new TemplateFault('expected a string')
  return textOf(value)
}

function linkedWord(word: string, attributes: string, shown: (url: string) => string, schemes: string[]): string {
  if (word.length > LONGEST_WORD) throw new TemplateFault(`urlize takes words of at most ${LONGEST_WORD} characters`)
  spend(word.length * 64)
  const [head] = /^(?:[(<]|&lt;)*/.exec(word)!
  const [tail] = /(?:[)>.,\n]|&gt;)*$/.exec(word.slice(head.length))!
  const [middle, rest] = balanced(word.slice(head.length, word.length - tail.length), tail)
  return head + linked(middle, attributes, shown, schemes) + rest
}

/** Closing brackets at the end belong to the address when it opens them. */
function balanced(middle: string, tail: string): [string, string] {
  let [inside, outside] = [middle, tail]
  for (const [open, close] of [
    ['(', ')'],
    ['<', '>'],
    ['&lt;', '&gt;'],
  ]) {
    const opened = occurrences(inside, open)
    if (opened <= occurrences(inside, close)) continue
    for (let left = Math.min(opened, occurrences(outside, close)); left > 0; left--) {
      const end = outside.indexOf(close) + close.length
      inside += outside.slice(0, end)
      outside = outside.slice(end)
    }
  }
  return [inside, outside]
}

function linked(url: string, attributes: string, shown: (url: string) => string, schemes: string[]): string {
  if (HTTP.test(url)) {
    const address = /^https?:\/\//.test(url) ? url : `https://${url}`
    return `<a href="${address}"${attributes}>${shown(url)}</a>`
  }
  if (url.startsWith('mailto:') && EMAIL.test(url.slice(7))) return `<a href="${url}">${url.slice(7)}</a>`
  if (url.includes('@') && !url.startsWith('www.') && !url.startsWith('@') && !url.includes(':') && EMAIL.test(url))
    return `<a href="mailto:${url}">${url}</a>`
  let out = url
  for (const scheme of schemes)
    if (out !== scheme && out.startsWith(scheme)) out = `<a href="${out}"${attributes}>${out}</a>`
  return out
}
