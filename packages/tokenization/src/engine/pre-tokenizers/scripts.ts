import type { NormalizedText } from '../normalized-text'
import { eachCodePoint } from '../normalized-text'
import { SCRIPT_RUNS } from '../unicode/scripts.data'
import { lazyTable } from '../unicode/tables'

const scripts = lazyTable(SCRIPT_RUNS, (length) => new Uint8Array(length))

/**
 * Cuts where the script changes, as SentencePiece does (kana count as Han). What belongs to no script, like the blank, goes
 * with what is before it; at the beginning of a text it is lost, in Rust as here.
 */
export function splitScripts(text: NormalizedText): NormalizedText[] {
  const table = scripts()
  const cuts: number[] = []
  let last = 0
  eachCodePoint(text.text, (c, at) => {
    const script = table[c]!
    if (script === 0) return
    if (script !== last) cuts.push(at)
    last = script
  })
  cuts.push(text.text.length)
  return cuts.slice(1).map((end, i) => text.slice(cuts[i]!, end))
}
