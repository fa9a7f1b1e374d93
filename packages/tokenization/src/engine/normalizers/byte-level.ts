import { BYTE_TO_CHAR, utf8Of } from '../bytes'
import { Changes, eachCodePoint, type NormalizedText } from '../normalized-text'

const unit = new Uint16Array(2)
const bytes = new Int32Array(4)

/** Spells a text with one printable character for each of its bytes (GPT-2's alphabet). */
export function spellBytes(text: NormalizedText): void {
  let ascii = text.starts === undefined
  for (let i = 0; i < text.text.length && ascii; i++) if (text.text.charCodeAt(i) >= 0x80) ascii = false
  if (ascii) {
    let out = ''
    for (let i = 0; i < text.text.length; i++) out += BYTE_TO_CHAR[text.text.charCodeAt(i)]
    text.rewrite(out)
    return
  }
  const changes = new Changes()
  eachCodePoint(text.text, (c, at) => {
    const width = c > 0xffff ? 2 : 1
    for (let i = 0; i < width; i++) unit[i] = text.text.charCodeAt(at + i)
    const size = utf8Of(unit, 0, width, bytes)
    for (let i = 0; i < size; i++) changes.push(BYTE_TO_CHAR[bytes[i]!]!.charCodeAt(0), i > 0 ? 1 : 0)
  })
  text.transform(changes, 0)
}
