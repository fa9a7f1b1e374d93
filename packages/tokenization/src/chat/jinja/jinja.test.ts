import { readFileSync } from 'node:fs'
import { isTunesmithError, parseExactJson, type TunesmithError } from '@tunesmith/core'
import { describe, expect, test } from 'vitest'
import { fromTagged } from '../../testing/python-values'
import { runTemplate } from './run'
import { Float } from './values/float'

const fixture = (name: string) => JSON.parse(readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), 'utf8'))
const golden = fixture('jinja.golden.json') as {
  variables: Record<string, unknown>
  cases: { template: string; text?: string; error?: string }[]
}

function caught(template: string, variables: Record<string, unknown> = {}): TunesmithError {
  try {
    runTemplate(template, variables)
  } catch (error) {
    expect(isTunesmithError(error)).toBe(true)
    return error as TunesmithError
  }
  throw new Error(`no error from ${template.slice(0, 80)}`)
}

/** The cases that print something else than Python, or fail where it does not. */
function differences(cases: [template: string, text: string | null][], variables: Record<string, unknown>): unknown[] {
  return cases.flatMap(([template, text]) => {
    let got: string | null = null
    let fault: unknown
    try {
      got = runTemplate(template, variables).text
    } catch (error) {
      fault = error
    }
    const sound = fault === undefined || isTunesmithError(fault)
    return sound && got === text ? [] : [{ template, want: text, got, fault: String(fault) }]
  })
}

describe('chat template language', () => {
  test('prints what Jinja2 prints, and fails where it fails', () => {
    expect(golden.cases.length).toBeGreaterThan(250)
    const cases = golden.cases.map(({ template, text }) => [template, text ?? null] as [string, string | null])
    expect(differences(cases, golden.variables)).toEqual([])
  })

  test('has everything that the documentation of Jinja2 lists', () => {
    const documented = fixture('jinja-documented.golden.json')
    expect(documented.cases.length).toBeGreaterThan(280)
    const variables = fromTagged(documented.variables) as Record<string, unknown>
    const cases = documented.cases.map(([, template, text]: [string, string, string | null]) => [template, text])
    expect(differences(cases, variables)).toEqual([])
  })

  test('prints what Jinja2 prints for 2000 random templates', () => {
    const fuzz = fixture('jinja-fuzz.golden.json')
    expect(fuzz.cases.length).toBe(2000)
    const variables = fromTagged(fuzz.variables) as Record<string, unknown>
    expect(differences(fuzz.cases, variables)).toEqual([])
  })

  test('tells ints from floats, of any size', () => {
    const variables = {
      int: 20,
      float: new Float(20),
      half: 0.5,
      large: 9007199254740993n,
      whole: 2 ** 60,
      beyond: 1e300,
      zero: -0,
      negative: new Float(-0),
      infinite: Number.POSITIVE_INFINITY,
      ordered: new Map([
        ['10', 1],
        ['9', 2],
      ]),
    }
    const print = (expression: string) => runTemplate(`{{ ${expression} }}`, variables).text
    expect(print('[int, float, half, large, whole, beyond, zero, negative, infinite]')).toBe(
      '[20, 20.0, 0.5, 9007199254740993, 1152921504606846976, 1e+300, 0, -0.0, inf]',
    )
    expect(print('[int, float, large, beyond, infinite]|tojson')).toBe('[20, 20.0, 9007199254740993, 1e+300, Infinity]')
    expect(print('ordered|tojson')).toBe('{"10": 1, "9": 2}')
    expect(print('float == int and float is float and large + 1 == 9007199254740994')).toBe('True')
  })

  test('keeps what the text of JSON said', () => {
    const row = parseExactJson('{"a": 20.0, "b": [1e2, 2, -0.0, 9007199254740993], "10": 1, "9": 2.5}')
    const template = '{{ row }} {{ row|tojson }} {{ row.a + 1 }} {{ row.b[3] + 1 }}'
    expect(runTemplate(template, { row }).text).toBe(
      "{'a': 20.0, 'b': [100.0, 2, -0.0, 9007199254740993], '10': 1, '9': 2.5} " +
        '{"a": 20.0, "b": [100.0, 2, -0.0, 9007199254740993], "10": 1, "9": 2.5} 21.0 9007199254740994',
    )
    const rounded = parseExactJson('{"n": 9007199254740993}', { bigints: false })
    expect(runTemplate('{{ row.n }}', { row: rounded }).text).toBe('9007199254740993')
  })

  test('names the line of a mistake', () => {
    expect(caught('a\n{{ b }}\n{{ b.c }}').where).toBe('chat template, line 3')
    expect(caught('{% for x in [1] %}\n\n{{ x|upper }}{{ x + none }}\n{% endfor %}').where).toBe(
      'chat template, line 3',
    )
    expect(caught('{% macro m() %}\n{{ 1 // 0 }}\n{% endmacro %}\n\n{{ m() }}').where).toBe('chat template, line 2')
    expect(caught('a\nb {% if %}')).toMatchObject({ where: 'chat template, line 2', code: 'invalid_data' })
    expect(caught('\n\n{{ "x"|nothere }}').message).toMatch(/No filter named 'nothere'.*line 3/)
  })

  test('refuses what is not there when the template is read, wherever it stands', () => {
    for (const tag of ["include 'x'", "import 'x' as y", "from 'x' import y", "extends 'x'"]) {
      const error = caught(`{% if false %}\n{% ${tag} %}{% endif %}`)
      expect(error).toMatchObject({ code: 'unsupported', where: 'chat template, line 2' })
      expect(error.message).toContain(tag.split(' ')[0])
    }
    expect(caught('{% if false %}{{ lipsum(2) }}{% endif %}')).toMatchObject({ code: 'unsupported' })
    expect(caught("{% if false %}{{ '\\N{BULLET}' }}{% endif %}")).toMatchObject({ code: 'unsupported' })
    expect(caught('{{ (-8) ** 0.5 }}')).toMatchObject({ code: 'unsupported' })
    for (const method of ['encode', 'maketrans', 'translate', 'to_bytes', 'from_bytes', 'hex', 'fromhex'])
      expect(caught(`{% if false %}{{ x.${method}() }}{% endif %}`).message).toContain(`.${method} is not supported`)
  })

  test('reaches nothing but its variables', () => {
    for (const name of ['process', 'globalThis', 'require', 'Function', 'console', 'constructor', 'this'])
      expect(runTemplate(`{{ ${name} is defined }}`, {}).text).toBe('False')
    for (const path of ['constructor', '__proto__', 'prototype', 'toString', 'hasOwnProperty', '__class__', 'valueOf'])
      for (const start of ["''", '[]', '{}', 'range', 'namespace(a=1)', '1', '1.5', "'x'|safe", '(1,)', 'none'])
        expect(runTemplate(`{{ (${start}).${path} is defined }}{{ (${start})['${path}'] is defined }}`, {}).text).toBe(
          'FalseFalse',
        )
    for (const name of ['constructor', '__proto__', 'toString']) {
      expect(caught(`{{ 1|${name} }}`).message).toContain('No filter named')
      expect(caught(`{{ 1 is ${name} }}`).message).toContain('No test named')
      expect(caught(`{{ [1]|map('${name}')|list }}`).message).toContain('No filter named')
    }
    expect(runTemplate("{{ {'__proto__': 1}['__proto__'] }}{{ 'constructor' in {} }}", {}).text).toBe('1False')
    const variables = { list: [1], fn: () => 1, dict: { a: { b: 1 } } }
    expect(caught('{{ fn() }}', variables).message).toMatch(/cannot be given/)
    expect(caught('{{ list.append(2) }}', { list: [1] }).message).toMatch(/unsafe/)
  })

  describe('finds what stands between generation tags', () => {
    const spansOf = (template: string, variables: Record<string, unknown> = {}) => {
      const { text, spans } = runTemplate(template, variables, true)
      return [text, spans.map(([start, end]) => text.slice(start, end))]
    }

    test('in the template itself', () => {
      const template = '{% for m in m %}{{ m.r }}:{% generation %}{{ m.c }}!{% endgeneration %}\n{% endfor %}'
      const m = [
        { r: 'a', c: 'one' },
        { r: 'b', c: '🙂 \ue0f0' },
      ]
      expect(spansOf(template, { m })).toEqual(['a:one!b:🙂 \ue0f0!', ['one!', '🙂 \ue0f0!']])
    })

    test('in a macro, a set block and a block, where their text is printed', () => {
      const macro = '{% macro say(x) %}<{% generation %}{{ x }}{% endgeneration %}>{% endmacro %}'
      expect(spansOf(`${macro}a{{ say('one') }}b{{ say('two') }}`)).toEqual(['a<one>b<two>', ['one', 'two']])
      const block = '{% set x %}({% generation %}in{% endgeneration %}){% endset %}text {{ x }}'
      expect(spansOf(block)).toEqual(['text (in)', ['in']])
      expect(spansOf('a{% block b %}{% generation %}c{% endgeneration %}{% endblock %}')).toEqual(['ac', ['c']])
    })

    test('and says so where the text is changed after it was marked', () => {
      const template = '{% filter upper %}{% generation %}a{% endgeneration %}{% endfilter %}'
      expect(() => runTemplate(template, {}, true)).toThrow(/changes or drops the text/)
      expect(runTemplate(template, {}).text).toBe('A')
    })
  })
})
