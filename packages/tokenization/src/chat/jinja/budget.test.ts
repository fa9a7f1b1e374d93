import { isTunesmithError } from '@tunesmith/core'
import { describe, expect, test } from 'vitest'
import { runTemplate } from './run'

/** Templates that would take all time or memory, each by another operation. */
const GREEDY: Record<string, [template: string, message: RegExp]> = {
  'nested loops': ['{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}', /steps|seconds/],
  'a macro that calls itself': ['{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', /calls itself/],
  'a loop that calls itself': ['{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}', /calls itself/],
  'a text that doubles': [
    "{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
    /64 MB/,
  ],
  'a sum of texts that doubles': [
    "{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}",
    /64 MB/,
  ],
  'a list that doubles': [
    '{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = n.l + n.l %}{% endfor %}',
    /64 MB/,
  ],
  'a list that holds itself twice, printed': [
    '{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l }}',
    /64 MB|steps|seconds/,
  ],
  'a list that holds itself twice, compared': [
    '{% set n = namespace(a=[1], b=[1]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}{% set n.b = [n.b, n.b] %}{% endfor %}{{ n.a == n.b }}',
    /steps|seconds/,
  ],
  'a list that holds itself twice, as JSON': [
    '{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l|tojson }}',
    /64 MB|steps|seconds/,
  ],
  'a list that holds itself twice, pretty': [
    '{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l|pprint }}',
    /64 MB|steps|seconds/,
  ],
  'a list inside of lists': [
    '{% set n = namespace(l=[1]) %}{% for i in range(90000) %}{% set n.l = [n.l] %}{% endfor %}{{ n.l }}',
    /too deep|steps|seconds/,
  ],
  repetition: ["{{ 'x' * 99999999999 }}", /64 MB/],
  'repetition of a list': ['{{ ([1] * 99999999)|length }}', /64 MB/],
  replacement: ["{% set a = 'x' * 1000000 %}{{ a.replace('x', a) }}", /64 MB/],
  'the filter replace': ["{% set a = 'x' * 1000000 %}{{ a|replace('x', a) }}", /64 MB/],
  joining: ["{% set a = 'x' * 1000000 %}{{ ([a] * 100000)|join }}", /64 MB/],
  'joining with a long text': ["{% set a = 'x' * 1000000 %}{{ a.join(['a'] * 1000) }}", /64 MB/],
  padding: ["{{ 'x'.ljust(9999999999) }}", /64 MB/],
  'the filter center': ["{{ 'x'|center(9999999999) }}", /64 MB/],
  zeros: ["{{ 'x'.zfill(9999999999) }}", /64 MB/],
  'a width in a format': ["{{ '{:>999999999}'.format(1) }}", /64 MB/],
  'a width in a percent format': ["{{ '%999999999d' % 1 }}", /64 MB/],
  indentation: ["{{ ('a\\n' * 100000)|indent(100000) }}", /64 MB/],
  tabs: ["{{ ('\\t' * 100000).expandtabs(100000) }}", /64 MB/],
  'upper case over and over': [
    "{% set a = 'x' * 1000000 %}{% for i in range(99999) %}{% set b = a.upper() %}{% endfor %}",
    /64 MB|steps|seconds/,
  ],
  'comparison over and over': [
    "{% set a = 'x' * 9000000 ~ 'a' %}{% set b = 'x' * 9000000 ~ 'b' %}{% for i in range(99999) %}{{ a == b }}{% endfor %}",
    /64 MB|steps|seconds/,
  ],
  'search over and over': [
    "{% set a = 'x' * 9000000 %}{% for i in range(99999) %}{{ 'y' in a }}{% endfor %}",
    /steps|seconds/,
  ],
  'length over and over': [
    "{% set a = '🦜' * 4000000 %}{% for i in range(99999) %}{{ a|length }}{% endfor %}",
    /steps|seconds/,
  ],
  'slices over and over': [
    "{% set a = 'x' * 9000000 %}{% for i in range(99999) %}{% set b = a[1:] %}{% endfor %}",
    /64 MB|steps|seconds/,
  ],
  'a long range': ['{{ range(10000000000)|list }}', /[Rr]ange/],
  'a large power': ['{{ 9 ** 999999999 }}', /too large/],
  'a product that squares itself': [
    '{% set n = namespace(x=9 ** 99) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}',
    /too large|64 MB/,
  ],
  'a sum of lists': ['{{ ([[1] * 10000] * 10000)|sum(start=[])|length }}', /64 MB/],
  'batches filled up': ["{{ [1]|batch(999999999, 'x')|list|length }}", /64 MB/],
  'brackets inside of brackets': [`{{ ${'('.repeat(10_000)}1${')'.repeat(10_000)} }}`, /nested/],
  'tags inside of tags': ['{% if 1 %}'.repeat(5_000), /nested/],
  'signs before signs': [`{{ ${'-'.repeat(50_000)}1 }}`, /nested/],
}

describe('the budget of a rendering', () => {
  for (const [name, [template, message]] of Object.entries(GREEDY))
    test(`ends ${name} within its time`, () => {
      const start = performance.now()
      let caught: unknown
      try {
        runTemplate(template, {})
      } catch (error) {
        caught = error
      }
      expect(isTunesmithError(caught)).toBe(true)
      expect((caught as Error).message).toMatch(message)
      expect(performance.now() - start).toBeLessThan(6_000)
    })

  test('leaves room for what real templates do', () => {
    const messages = Array.from({ length: 2_000 }, (_, i) => ({
      role: i % 2 ? 'assistant' : 'user',
      content: 'word '.repeat(100),
    }))
    const template =
      "{% set ns = namespace(s='') %}{% for m in messages %}{% set ns.s = ns.s ~ '<' ~ m.role ~ '>' ~ m.content|trim %}{% endfor %}{{ ns.s }}"
    expect(runTemplate(template, { messages }).text.length).toBeGreaterThan(1_000_000)
  })
})
