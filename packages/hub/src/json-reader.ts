import { Buffer } from 'node:buffer'
import { invalidFile } from '@tunesmith/core'

const utf8 = new TextDecoder('utf-8', { fatal: true })
/** serde_json, which the original safetensors reader uses, gives up at the same depth. */
const MAX_DEPTH = 127

const QUOTE = 0x22
const BACKSLASH = 0x5c
/** The bytes that a number is made of. */
const NUMBER = new Set(Buffer.from('+-.eE0123456789'))

/**
 * Reads JSON of a known form straight from bytes, and refuses what `JSON.parse` would let pass or choke on: a key given
 * twice, deep nesting, broken UTF-8. Memory grows only with the values the caller keeps.
 */
export class JsonReader {
  private position = 0
  private depth = 0

  /** @param where the file, for messages. */
  constructor(
    private readonly bytes: Uint8Array,
    private readonly where: string,
  ) {}

  fail(what: string): never {
    throw invalidFile(`${what} at byte ${this.position} of the JSON`, {
      where: this.where,
      remedy: 'The file is corrupt or not what its name says; download or save it again',
    })
  }

  /** Reads an object, calling `member` for each key; `member` must read the value. */
  object(member: (key: string) => void): void {
    this.open('{', 'an object')
    const seen = new Set<string>()
    if (!this.closes('}'))
      do {
        const key = this.string()
        if (seen.has(key)) this.fail(`The key ${quoted(key)} stands twice`)
        seen.add(key)
        this.expect(':', '":"')
        member(key)
      } while (this.separator('}'))
    this.depth--
  }

  /** Reads an array, calling `element` before each value; `element` must read it. */
  array(element: (index: number) => void): void {
    this.open('[', 'an array')
    if (!this.closes(']')) {
      let index = 0
      do element(index++)
      while (this.separator(']'))
    }
    this.depth--
  }

  string(): string {
    this.expect('"', 'a string')
    const { bytes } = this
    const start = this.position
    let plain = true
    let at = start
    for (; at < bytes.length && bytes[at] !== QUOTE; at++) {
      if (bytes[at] === BACKSLASH) {
        plain = false
        at++
      } else if (bytes[at]! < 0x20) this.fail('A control character stands in a string')
      else if (bytes[at]! > 0x7e) plain = false
    }
    if (at >= bytes.length) this.fail('A string does not end')
    this.position = at + 1
    if (plain) return this.latin1(start, at)
    try {
      const text = JSON.parse(`"${utf8.decode(bytes.subarray(start, at))}"`) as string
      if (isWellFormed(text)) return text
    } catch {}
    return this.fail('A string has a broken escape or broken UTF-8')
  }

  /** Reads a whole number from 0 to 2^53 - 1, written without fraction or exponent. */
  wholeNumber(): number {
    this.space()
    const text = this.numberText()
    if (!/^(0|[1-9]\d*)$/.test(text)) this.fail('Expected a whole number')
    if (!Number.isSafeInteger(Number(text))) this.fail('A number is too large')
    return Number(text)
  }

  /** True, and read past, when the next value is `null`. */
  isNull(): boolean {
    this.space()
    return this.literal('null')
  }

  /** Reads past a value of any form. */
  skip(): void {
    this.space()
    const next = this.character()
    if (next === '{') this.object(() => this.skip())
    else if (next === '[') this.array(() => this.skip())
    else if (next === '"') this.string()
    else if (!this.literal('null') && !this.literal('true') && !this.literal('false')) this.skipNumber()
  }

  /** Checks that nothing but white space follows. */
  end(): void {
    this.space()
    if (this.position < this.bytes.length) this.fail('Unexpected text after the end')
  }

  private character(): string {
    return this.position < this.bytes.length ? String.fromCharCode(this.bytes[this.position]!) : ''
  }

  private space(): void {
    for (let byte = this.bytes[this.position]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; )
      byte = this.bytes[++this.position]
  }

  private expect(character: string, name: string): void {
    this.space()
    if (this.character() !== character) this.fail(`Expected ${name}`)
    this.position++
  }

  private open(bracket: string, name: string): void {
    this.expect(bracket, name)
    if (++this.depth > MAX_DEPTH) this.fail('Nested too deeply')
  }

  private closes(bracket: string): boolean {
    this.space()
    if (this.character() !== bracket) return false
    this.position++
    return true
  }

  /** Reads `,` (true: another follows) or the closing bracket (false). */
  private separator(bracket: string): boolean {
    if (this.closes(bracket)) return false
    this.expect(',', `"," or "${bracket}"`)
    return true
  }

  private literal(word: string): boolean {
    for (let i = 0; i < word.length; i++) if (this.bytes[this.position + i] !== word.charCodeAt(i)) return false
    this.position += word.length
    return true
  }

  private numberText(): string {
    const start = this.position
    while (NUMBER.has(this.bytes[this.position]!)) this.position++
    return this.latin1(start, this.position)
  }

  private skipNumber(): void {
    const text = this.numberText()
    const valid = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)
    if (!valid || !Number.isFinite(Number(text))) this.fail('Expected a value')
  }

  private latin1(start: number, end: number): string {
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, end - start).toString('latin1')
  }
}

/** A name from a file for a message: quoted, escaped, and cut when it is long. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}…` : name)
}

/** Whether text is valid Unicode: no half of a surrogate pair stands alone. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}
