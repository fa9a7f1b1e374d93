import { isNestedTooDeep, MAX_DEPTH } from './depth'
import { isFloatText, numberOf, setJsonSource } from './source'

/**
 * Texts that `JSON.parse` may read with loss: long integers, floating-point numbers that look like integers, keys that
 * JavaScript puts in another order, a negative zero. Inside of strings it finds some too, which costs time alone.
 */
const LOSSY = /\d{16}|\d\.0+(?!\d)|\d[eE][+-]?\d|"\d{1,10}"\s*:|-0(?![.\d])/

export interface ExactJsonOptions {
  /** Integers above 2^53 become bigints; otherwise they are rounded, and their digits are kept beside them. Default true. */
  bigints?: boolean
}

/**
 * Parses JSON as Python's `json` does: integers keep all digits, `20.0` is known to be a floating-point number, keys keep
 * their order ({@link jsonNumberText}, {@link jsonKeys}), NaN, Infinity and -Infinity are read, of a doubled key the last value counts.
 *
 * @throws {SyntaxError} with `position`, the offset of the fault in the text, in UTF-16 units.
 */
export function parseExactJson(text: string, { bigints = true }: ExactJsonOptions = {}): unknown {
  if (!LOSSY.test(text)) {
    try {
      const value = JSON.parse(text)
      if (text.length < 2 * MAX_DEPTH || !isNestedTooDeep(value)) return value
    } catch {
      // The parser below knows what JSON.parse refuses, or where the fault is, also that of too deep a value.
    }
  }
  return new ExactParser(text, bigints).document()
}

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const SPACE = /[ \t\n\r]*/y
const WORDS: [string, unknown][] = [
  ['true', true],
  ['false', false],
  ['null', null],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]

class ExactParser {
  #at = 0
  #depth = 0
  /** The text of the number just read, when its plain form is another. */
  #numberText: string | undefined

  constructor(
    readonly text: string,
    readonly bigints: boolean,
  ) {}

  document(): unknown {
    this.#match(SPACE)
    const value = this.#value()
    this.#match(SPACE)
    if (this.#at < this.text.length) this.#fail('There is text after the end of the value')
    return value
  }

  #value(): unknown {
    this.#numberText = undefined
    const first = this.text[this.#at]
    if (first === '"') return this.#string()
    if (first === '{') return this.#inside(() => this.#object())
    if (first === '[') return this.#inside(() => this.#array())
    for (const [word, value] of WORDS) {
      if (!this.text.startsWith(word, this.#at)) continue
      this.#at += word.length
      return value
    }
    return this.#number()
  }

  #inside<Value>(read: () => Value): Value {
    if (++this.#depth > MAX_DEPTH) this.#fail(`The value is nested deeper than ${MAX_DEPTH} levels`)
    this.#at++
    this.#match(SPACE)
    const value = read()
    this.#depth--
    this.#numberText = undefined
    return value
  }

  #object(): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    const order: string[] = []
    let reordered = false
    const numbers = new Map<string, string>()
    if (this.#take('}')) return object
    do {
      this.#match(SPACE)
      if (this.text[this.#at] !== '"') this.#fail('A key in double quotes is expected')
      const key = this.#string()
      this.#match(SPACE)
      if (!this.#take(':')) this.#fail('A colon is expected after the key')
      this.#match(SPACE)
      const value = this.#value()
      if (this.#numberText === undefined) numbers.delete(key)
      else numbers.set(key, this.#numberText)
      if (!Object.hasOwn(object, key)) order.push(key)
      reordered ||= /^\d{1,10}$/.test(key)
      if (key === '__proto__')
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
      else object[key] = value
      this.#match(SPACE)
    } while (this.#take(','))
    if (!this.#take('}')) this.#fail('A comma or the end of the object is expected')
    keep(object, numbers, reordered ? order : undefined)
    return object
  }

  #array(): unknown[] {
    const array: unknown[] = []
    const numbers = new Map<string, string>()
    if (this.#take(']')) return array
    do {
      this.#match(SPACE)
      array.push(this.#value())
      if (this.#numberText !== undefined) numbers.set(String(array.length - 1), this.#numberText)
      this.#match(SPACE)
    } while (this.#take(','))
    if (!this.#take(']')) this.#fail('A comma or the end of the list is expected')
    keep(array, numbers)
    return array
  }

  #string(): string {
    const start = this.#at
    let end = start
    do {
      end = this.text.indexOf('"', end + 1)
      if (end < 0) this.#fail('A text does not end')
    } while (this.#isEscaped(end))
    this.#at = end + 1
    try {
      return JSON.parse(this.text.slice(start, end + 1))
    } catch {
      this.#at = start
      return this.#fail('A text holds a control character, or an escape sequence that JSON does not have')
    }
  }

  #isEscaped(at: number): boolean {
    let backslashes = 0
    while (this.text[at - 1 - backslashes] === '\\') backslashes++
    return backslashes % 2 === 1
  }

  #number(): number | bigint {
    const [text, fraction, exponent] = this.#match(NUMBER) ?? this.#fail('A value is expected')
    const value = numberOf(text)
    const isInteger = fraction === undefined && exponent === undefined
    if (this.bigints && isInteger && !Number.isSafeInteger(value)) return BigInt(text)
    if (isInteger ? String(value) !== text : isFloatText(text) && Number.isInteger(value)) this.#numberText = text
    return value
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.text)
    if (match) this.#at = pattern.lastIndex
    return match
  }

  #take(character: string): boolean {
    if (this.text[this.#at] !== character) return false
    this.#at++
    return true
  }

  #fail(reason: string): never {
    throw Object.assign(new SyntaxError(reason), { position: this.#at })
  }
}

function keep(target: object, numbers: Map<string, string>, keys?: string[]): void {
  if (numbers.size > 0 || keys) setJsonSource(target, { ...(keys && { keys }), ...(numbers.size > 0 && { numbers }) })
}
