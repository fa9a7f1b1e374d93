import { Changes, eachCodePoint, type NormalizedText } from '../normalized-text'
import { LOWERCASE } from '../unicode/lowercase.data'
import { lazyTable } from '../unicode/tables'

const deltas = lazyTable(LOWERCASE, (length) => new Int32Array(length))
/** The one letter whose lower case is two characters: i and a dot above. */
const DOTTED_I = 0x130

/** Lower case, character by character: a final sigma is like any other. */
export function lowercase(text: NormalizedText): void {
  let plain = true
  let changed = false
  for (let i = 0; i < text.text.length && plain; i++) {
    const unit = text.text.charCodeAt(i)
    if (unit >= 0x80) plain = false
    else if (unit >= 0x41 && unit <= 0x5a) changed = true
  }
  if (plain) {
    if (changed) text.rewrite(text.text.toLowerCase())
    return
  }
  const table = deltas()
  const changes = new Changes()
  eachCodePoint(text.text, (c) => {
    if (c === DOTTED_I) {
      changes.push(0x69, 0)
      changes.push(0x307, 1)
    } else {
      if (table[c] !== 0) changed = true
      changes.push(c + table[c]!, 0)
    }
  })
  if (changed || changes.codes.length !== text.text.length || text.text.includes('\u0130')) text.transform(changes, 0)
}
