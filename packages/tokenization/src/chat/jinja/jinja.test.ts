import { readFileSync } from 'node:fs'
import { isTunesmithError } from '@tunesmith/core'
import { describe, expect, test } from 'vitest'
import { runTemplate } from './run'

const golden = JSON.parse(readFileSync(new URL('../../fixtures/jinja.golden.json', import.meta.url), 'utf8')) as {
  variables: Record<string, unknown>
  cases: { template: string; text?: string; error?: string }[]
}

function caught(template: string, variables: Record<string, unknown> = {}): Error {
  try {
    runTemplate(template, variables)
  } catch (error) {
    expect(isTunesmithError(error)).toBe(true)
    return error as Error
  }
  throw new Error(`no error from ${template.slice(0, 80)}`)
}

describe('chat template language', () => {
  test('prints what Jinja2 prints, and fails where it fails', () => {
    expect(golden.cases.length).toBeGreaterThan(250)
    const wrong: unknown[] = []
    for (const { template, text, error } of golden.cases) {
      let got: string
      try {
        got = runTemplate(template, golden.variables).text
      } catch (fault) {
        expect(isTunesmithError(fault)).toBe(true)
        if (error === undefined) wrong.push({ template, want: text, fault: (fault as Error).message })
        continue
      }
      if (error !== undefined || got !== text) wrong.push({ template, want: text ?? error, got })
    }
    expect(wrong).toEqual([])
  })

  test('stops templates that loop for ever or grow without end', () => {
    const forever = '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}'
    expect(caught(forever).message).toMatch(/more than 1000000 steps/)
    expect(caught('{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}').message).toMatch(/calls itself without end|steps/)
    const doubling =
      "{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s|length }}"
    expect(caught(doubling).message).toMatch(/more than 8000000/)
    expect(caught("{{ 'x' * 99999999999 }}").message).toMatch(/too long/)
    expect(caught("{% set a = 'x' * 1000000 %}{{ a.replace('x', a) }}").message).toMatch(/too long/)
    expect(caught("{% set a = 'x' * 1000000 %}{{ ([a] * 100000) | join }}").message).toMatch(/too long/)
    expect(caught('{{ range(10000000000)|list }}').message).toMatch(/range/)
    expect(caught("{{ 'x'.ljust(9999999999) }}").message).toMatch(/too long/)
    const growingList = '{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = n.l + n.l %}{% endfor %}'
    expect(caught(growingList).message).toMatch(/more than 200000 items/)
    expect(caught(`${'{{ '.padEnd(20_000, '(')}1${')'.repeat(10_000)} }}`).message).toMatch(/chat template/)
  })

  test('reaches nothing but its variables', () => {
    for (const name of ['process', 'globalThis', 'require', 'Function', 'console', 'constructor', 'this'])
      expect(runTemplate(`{{ ${name} is defined }}`, {}).text).toBe('False')
    for (const path of ['constructor', '__proto__', 'prototype', 'toString', 'hasOwnProperty', '__class__', 'valueOf'])
      for (const start of ["''", '[]', '{}', 'range', 'namespace(a=1)', '1'])
        expect(runTemplate(`{{ (${start}).${path} is defined }}{{ (${start})['${path}'] is defined }}`, {}).text).toBe(
          'FalseFalse',
        )
    expect(runTemplate("{{ {'__proto__': 1}['__proto__'] }}{{ 'constructor' in {} }}", {}).text).toBe('1False')
    const variables = { list: [1], fn: () => 1, dict: { a: { b: 1 } } }
    expect(caught('{{ fn() }}', variables).message).toMatch(/cannot be given/)
    expect(caught('{{ list.append(2) }}', { list: [1] }).message).toMatch(/unsafe/)
  })

  test('finds what stands between generation tags', () => {
    const template = '{% for m in m %}{{ m.r }}:{% generation %}{{ m.c }}!{% endgeneration %}\n{% endfor %}'
    const { text, spans } = runTemplate(
      template,
      {
        m: [
          { r: 'a', c: 'one' },
          { r: 'b', c: '🙂 \ue0f0' },
        ],
      },
      true,
    )
    expect(text).toBe('a:one!b:🙂 \ue0f0!')
    expect(spans.map(([start, end]) => text.slice(start, end))).toEqual(['one!', '🙂 \ue0f0!'])
  })
})
