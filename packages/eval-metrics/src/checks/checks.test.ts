import { describe, expect, it } from 'vitest'
import {
  forbiddenPatterns,
  jsonSchema,
  lengthBetween,
  noCode,
  noPromptEcho,
  noTemplateTokens,
  requiredSections,
} from './checks'
import { runChecks } from './run-checks'

const row = (prompt = '') => ({ id: 1, prompt, outputs: {} })

describe('format checks', () => {
  it('wants sections, in order', () => {
    const check = requiredSections(['Summary', 'Risks', 'Next steps'])
    expect(check.run('## Summary\nx\n**Risks**\ny\n3. Next steps: z', row())).toEqual([])
    expect(check.run('Risks:\nSummary:\nthe next steps', row())).toEqual([
      'there is no section "Next steps"',
      'section "Risks" comes too early',
    ])
    expect(check.run('Summaryless', row())).toHaveLength(3)
    expect(requiredSections(['A', 'B'], { ordered: false }).run('B:\nA:', row())).toEqual([])
  })

  it('finds code, and leaves prose alone', () => {
    const bad = [
      '```python\nx\n```',
      'Here:\nimport os\n',
      'def f(x):\n  return x',
      'const x = 1',
      'int main() {\n  return 0;\n}',
    ]
    for (const text of bad) expect(noCode().run(text, row()), text).not.toEqual([])
    const good = [
      'The import of goods rose; prices fell.',
      'Let us define a class of drugs.',
      'From London to Paris.',
      '',
    ]
    for (const text of good) expect(noCode().run(text, row()), text).toEqual([])
  })

  it('finds leaked template tokens', () => {
    for (const text of ['ok<|im_end|>', '[/INST] hello', '### Response: x', 'a</s>'])
      expect(noTemplateTokens().run(text, row()), text).not.toEqual([])
    expect(noTemplateTokens().run('a < b and c > d | e', row())).toEqual([])
  })

  it('finds an echoed prompt', () => {
    const prompt = 'Summarize the following note for the patient in plain words, please.'
    expect(noPromptEcho({ words: 6 }).run(`${prompt} The note says rest.`, row(prompt))).toHaveLength(1)
    expect(noPromptEcho().run(`Sure! ${prompt.toUpperCase()}`, row(prompt))).toHaveLength(1)
    expect(noPromptEcho({ words: 6 }).run('The patient should rest.', row(prompt))).toEqual([])
    expect(noPromptEcho().run('Why not?', row('Why?'))).toEqual([])
  })

  it('matches forbidden patterns, each time from the start', () => {
    const check = forbiddenPatterns([/foo\d/g, 'ba[rz]'])
    for (let i = 0; i < 2; i++) expect(check.run('xx foo1 bar', row())).toHaveLength(2)
    expect(() => forbiddenPatterns(['(']).run('', row())).toThrow(/no regular expression/)
  })

  it('validates JSON and says where it fails', () => {
    const check = jsonSchema({
      type: 'object',
      required: ['name'],
      properties: { name: { type: 'string' }, tags: { type: 'array', items: { enum: ['a', 'b'] } } },
      additionalProperties: false,
    })
    expect(check.run('{"name":"x","tags":["a"]}', row())).toEqual([])
    expect(check.run('```json\n{"name":"x"}\n```', row())).toEqual([])
    const failures = check.run('{"tags":["c"],"more":1}', row()).join('\n')
    expect(failures).toContain(`required property 'name'`)
    expect(failures).toContain('/tags/0')
    expect(failures).toContain('"more"')
    expect(check.run('{"name":', row())[0]).toMatch(/^not JSON/)
    expect(check.run('', row())[0]).toMatch(/^not JSON/)
    expect(() => jsonSchema({ type: 'nothing' })).toThrow(/cannot be used/)
  })

  it('runs over all systems and says what failed in which row', () => {
    const rows = [
      { id: 'a', outputs: { base: 'one two three', tuned: 'one' } },
      { id: 'b', outputs: { base: 'one two', tuned: '' } },
    ]
    const { failures, rates, passed } = runChecks({ rows, checks: [lengthBetween({ min: 1, max: 2 })] })
    expect(failures).toEqual([
      { system: 'base', row: 0, check: 'length', message: '3 words, at most 2 wanted' },
      { system: 'tuned', row: 1, check: 'length', message: '0 words, at least 1 wanted' },
    ])
    expect(rates).toEqual({ length: { base: 0.5, tuned: 0.5 } })
    expect(passed.length.tuned).toEqual([1, 0])
  })
})
