import { describe, expect, it } from 'vitest'
import { TunesmithError } from '../errors'
import { Random } from '../random'
import { isNestedTooDeep } from './depth'
import { parseExactJson } from './exact'
import { parseJson } from './parse'
import { collectJsonSources, jsonKeys, jsonNumberText, restoreJsonSources } from './source'
import { stringifyJson } from './write'

const roundTrip = (text: string) => stringifyJson(parseExactJson(text))

describe('parseExactJson', () => {
  it('keeps what JSON.parse loses, and writes it back', () => {
    for (const text of [
      '{"id":9007199254740993}',
      '{"price":20.0,"big":1e22,"small":-0.0,"list":[1.0,2,3.50e1]}',
      '{"10":"ten","9":"nine","b":{"2":1,"1":2.0}}',
      '[9223372036854775808,-9007199254740993]',
      '{"a":NaN,"b":Infinity,"c":-Infinity}',
    ])
      expect(roundTrip(text)).toBe(text)
  })

  it('gives bigints, floating-point numbers and key order their JavaScript values', () => {
    const row = parseExactJson('{"id":9007199254740993,"price":20.0,"zero":-0,"10":1,"9":2,"a":1,"a":2}') as Record<
      string,
      unknown
    >
    expect(row).toEqual({ id: 9007199254740993n, price: 20, zero: 0, 10: 1, 9: 2, a: 2 })
    expect(jsonNumberText(row, 'price')).toBe('20.0')
    expect(jsonNumberText(row, 'id')).toBeUndefined()
    expect(jsonKeys(row)).toEqual(['id', 'price', 'zero', '10', '9', 'a'])
    row.price = 21
    delete row.id
    row.new = 1
    expect(jsonNumberText(row, 'price')).toBeUndefined()
    expect(jsonKeys(row)).toEqual(['price', 'zero', '10', '9', 'a', 'new'])
  })

  it('keeps the digits of an integer beside a number when no bigints are asked for', () => {
    const config = parseExactJson('{"model_max_length": 1000000000000000019884624838656}', { bigints: false })
    expect(config).toEqual({ model_max_length: 1e30 })
    expect(stringifyJson(config)).toBe('{"model_max_length":1000000000000000019884624838656}')
  })

  it('agrees with JSON.parse on random values, and with JSON.stringify', () => {
    const random = new Random(7)
    const pick = <Item>(items: Item[]) => items[random.int(items.length)]!
    const value = (depth: number): unknown =>
      depth > 0 && random.uniform() < 0.5
        ? random.uniform() < 0.5
          ? Array.from({ length: random.int(4) }, () => value(depth - 1))
          : Object.fromEntries(
              Array.from({ length: random.int(4) }, () => [
                pick(['a', '7', '"\\', 'é\n', '__proto__']),
                value(depth - 1),
              ]),
            )
        : pick<unknown>([0, 1, -7, 0.1, 1e21, 1.5e-9, true, false, null, 'x', '\u2028"\\/\u0000', '12', ''])
    for (let i = 0; i < 500; i++) {
      const made = value(4)
      for (const indent of [0, 2]) {
        const text = JSON.stringify(made, null, indent)
        // A fraction of zeros before the text keeps the fast path out.
        expect(parseExactJson(`[1.0, ${text}]`)).toEqual([1, JSON.parse(text)])
        expect(stringifyJson(made, indent)).toBe(text)
      }
    }
  })

  it.each([
    ['', 0],
    ['{"a":1,}', 7],
    ['{"a" 1.0}', 5],
    ['[1.0', 4],
    ['[1.0] x', 6],
    ['[01.0]', 2],
    ['"\\x 1.0"', 0],
    ['["1.0\n"]', 1],
    ['[1.]', 2],
    ['{a:1}', 1],
    [`${'['.repeat(1001)}1.0`, 1000],
    [`${'['.repeat(1001)}${']'.repeat(1001)}`, 1000],
    [`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`, 5000],
  ])('names the place of a fault in %j', (text, position) => {
    try {
      parseExactJson(text)
      expect.fail('no error')
    } catch (error) {
      expect(error).toBeInstanceOf(SyntaxError)
      expect((error as { position: number }).position).toBe(position)
    }
  })
})

describe('sources', () => {
  it('travel with a copy', () => {
    const rows = parseExactJson('[{"tools":[{"10":1.0,"9":[2.0]}]},{"a":1}]')
    const copy = structuredClone(rows)
    expect(stringifyJson(copy)).not.toBe(stringifyJson(rows))
    restoreJsonSources(copy, structuredClone(collectJsonSources(rows)))
    expect(stringifyJson(copy)).toBe('[{"tools":[{"10":1.0,"9":[2.0]}]},{"a":1}]')
    expect(collectJsonSources([{ a: 1.5 }])).toBeUndefined()
  })
})

describe('isNestedTooDeep', () => {
  const nested = (depth: number) => Array.from({ length: depth }).reduce((inner: unknown) => [inner], 1)
  it('counts lists and objects around the innermost value', () => {
    expect([1000, 1001].map((depth) => isNestedTooDeep(nested(depth)))).toEqual([false, true])
    expect(parseExactJson(`${'['.repeat(1000)}${']'.repeat(1000)}`)).toEqual(
      JSON.parse(JSON.stringify(nested(999)).replace('1', '[]')),
    )
    const self: unknown[] = []
    self.push(self, self)
    expect(isNestedTooDeep(self)).toBe(true)
  })

  it('is what a value is refused for that cannot be written', () => {
    expect(() => stringifyJson(nested(100_000))).toThrow(expect.objectContaining({ code: 'invalid_data' }))
  })
})

describe('stringifyJson', () => {
  it('refuses a value that holds itself, and leaves out what JSON has no form for', () => {
    const value: Record<string, unknown> = { date: new Date(0), none: undefined, f: () => 1, list: [undefined] }
    expect(stringifyJson(value)).toBe(JSON.stringify(value))
    value.self = value
    expect(() => stringifyJson(value)).toThrow(TypeError)
  })
})

describe('parseJson', () => {
  it('names line and column', () => {
    try {
      parseJson('{\n  "a": 1,\n  b\n}', 'config.json')
      expect.fail('no error')
    } catch (error) {
      expect(error).toBeInstanceOf(TunesmithError)
      expect((error as TunesmithError).where).toBe('config.json:3:3')
    }
    expect(parseJson('{"rope_theta": Infinity}', 'config.json')).toEqual({ rope_theta: Number.POSITIVE_INFINITY })
  })
})
