import { Changes, eachCodePoint, textOf } from '../normalized-text'
import { COMBINING, DECOMPOSING } from './normal-forms.data'
import { lazyTable, once } from './tables'

export type Form = 'NFC' | 'NFD' | 'NFKC' | 'NFKD'

const CANONICAL = 1
const COMPATIBLE = 2
const decomposing = lazyTable(DECOMPOSING, (length) => new Uint8Array(length))
const combining = lazyTable(COMBINING, (length) => new Uint8Array(length))
const decompositions = once(() => new Map<number, number[]>())
const compositions = once(() => new Map<number, number>())

/** The full decomposition of one character. Those of the original are of Unicode 9; what it has never changes. */
function decompose(c: number, compatible: boolean): number[] {
  const key = compatible ? -c - 1 : c
  let found = decompositions().get(key)
  if (found === undefined) {
    found = Array.from(String.fromCodePoint(c).normalize(compatible ? 'NFKD' : 'NFD'), (d) => d.codePointAt(0)!)
    decompositions().set(key, found)
  }
  return found
}

/** The character that two compose into, or -1. */
function compose(a: number, b: number): number {
  const key = a * 0x110000 + b
  let found = compositions().get(key)
  if (found === undefined) {
    const text = (String.fromCodePoint(a) + String.fromCodePoint(b)).normalize('NFC')
    const c = text.codePointAt(0)!
    // Only what the original knows decomposes there, and so composes.
    found = text.length === (c > 0xffff ? 2 : 1) && (decomposing()[c]! & CANONICAL) !== 0 ? c : -1
    if (compositions().size > 100_000) compositions().clear()
    compositions().set(key, found)
  }
  return found
}

const FORMS: Record<Form, number> = { NFC: 1, NFD: 2, NFKC: 4, NFKD: 8 }

/** For each code point the forms that it can make a difference to, as bits. */
const touched = once(() => {
  const table = new Uint8Array(0x110000)
  const ccc = combining()
  for (let c = 0xa0; c < 0x110000; c++) {
    const kind = decomposing()[c]!
    if (ccc[c] !== 0) table[c] = 15
    if (kind & COMPATIBLE) table[c]! |= FORMS.NFKD | (kind & CANONICAL ? 0 : FORMS.NFKC)
    if ((kind & CANONICAL) === 0) continue
    table[c]! |= FORMS.NFD | FORMS.NFKD
    if (c >= 0xac00 && c <= 0xd7a3) continue // what a Hangul syllable falls into is put together again
    const parts = decompose(c, false)
    const changes = new Changes()
    for (const part of parts) changes.push(part, 0)
    const again = recompose(changes).codes
    if (again.length !== 1 || again[0] !== c) table[c]! |= FORMS.NFC | FORMS.NFKC
    // A second part that is no mark composes with the one before it.
    else table[parts.at(-1)!]! |= FORMS.NFC | FORMS.NFKC
    if (decompose(c, true).join() !== parts.join()) table[c]! |= FORMS.NFKC
  }
  for (let jamo = 0x1161; jamo <= 0x11c2; jamo++) table[jamo]! |= FORMS.NFC | FORMS.NFKC
  return table
})

/** Characters below this one are the same in every form, or (for NFC) in NFC. */
const PLAIN: Record<Form, number> = { NFC: 0x300, NFD: 0xc0, NFKC: 0xa0, NFKD: 0xa0 }

/** Whether a text is certainly left as it is: it has no character that the form can change or join to another. */
export function isNormal(text: string, form: Form): boolean {
  const limit = PLAIN[form]
  let i = 0
  while (i < text.length && text.charCodeAt(i) < limit) i++
  if (i === text.length) return true
  const table = touched()
  const bit = FORMS[form]
  while (i < text.length) {
    const c = text.codePointAt(i)!
    if ((table[c]! & bit) !== 0) return false
    i += c > 0xffff ? 2 : 1
  }
  return true
}

/**
 * A normal form with the alignment that the crate `unicode-normalization-alignments` gives: the algorithm of Unicode's
 * annex 15, where every character made by a decomposition counts as new, and every composition as one removed.
 */
export function normalForm(text: string, form: Form): Changes {
  const decomposed = decomposeText(text, form === 'NFKC' || form === 'NFKD')
  return form === 'NFD' || form === 'NFKD' ? decomposed : recompose(decomposed)
}

function decomposeText(text: string, compatible: boolean): Changes {
  const out = new Changes()
  const { codes, changes } = out
  const wanted = compatible ? CANONICAL | COMPATIBLE : CANONICAL
  const ccc = combining()
  // Marks since the last starter, which are sorted by their class.
  let pending = 0
  const sort = () => {
    const from = codes.length - pending
    if (pending > 1) {
      const marks = codes.slice(from).map((code, i) => ({ code, change: changes[from + i]! }))
      marks.sort((a, b) => ccc[a.code]! - ccc[b.code]!)
      for (const [i, mark] of marks.entries()) {
        codes[from + i] = mark.code
        changes[from + i] = mark.change
      }
    }
    pending = 0
  }
  const push = (c: number, change: number) => {
    if (ccc[c] === 0) sort()
    out.push(c, change)
    if (ccc[c] !== 0) pending++
  }
  eachCodePoint(text, (c) => {
    if ((decomposing()[c]! & wanted) === 0) push(c, 0)
    else for (const [i, d] of decompose(c, compatible).entries()) push(d, i === 0 ? 0 : 1)
  })
  sort()
  return out
}

function recompose({ codes, changes }: Changes): Changes {
  const out = new Changes()
  const ccc = combining()
  let base = -1
  let baseChange = 0
  let lastClass = -1
  let marks = new Changes()
  const flush = () => {
    if (base !== -1) out.push(base, baseChange)
    for (let i = 0; i < marks.codes.length; i++) out.push(marks.codes[i]!, marks.changes[i]!)
    marks = new Changes()
    lastClass = -1
  }
  for (let i = 0; i < codes.length; i++) {
    const c = codes[i]!
    const change = changes[i]!
    const kind = ccc[c]!
    if (base === -1) {
      if (kind !== 0) out.push(c, change)
      else {
        base = c
        baseChange = change
      }
      continue
    }
    const blocked = lastClass !== -1 && lastClass >= kind
    const composed = blocked ? -1 : compose(base, c)
    if (composed !== -1) {
      base = composed
      baseChange += change - 1
    } else if (kind === 0) {
      flush()
      base = c
      baseChange = change
    } else {
      marks.push(c, change)
      lastClass = kind
    }
  }
  flush()
  return out
}

/** The text in a normal form. */
export function normalize(text: string, form: Form): string {
  return isNormal(text, form) ? text : textOf(normalForm(text, form).codes)
}
