import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { pubmedQa } from '../answers/pubmed-qa'
import { lengthBetween } from '../checks/checks'
import { bleu } from '../sacrebleu/bleu'
import { compare, evaluate } from './evaluate'
import { METRIC_NAMES } from './metrics'

const rows = Array.from({ length: 12 }, (_, i) => ({
  id: i,
  prompt: `say ${i}`,
  reference: [`the answer to number ${i} is short and clear`, `number ${i} has a clear short answer`],
  outputs: { base: `answer ${i} is`, tuned: `the answer to number ${i} is short`, same: `answer ${i} is` },
}))

describe('evaluate', () => {
  it('computes every metric by name', () => {
    for (const metric of METRIC_NAMES) {
      const reference = { pubmedQa: 'yes', entityF1: 'yes : O' }[metric as string]
      const list = reference ? rows.map((row) => ({ ...row, reference })) : rows
      const results = evaluate({ rows: list, metrics: [metric], samples: 50 })
      expect(results.length, metric).toBeGreaterThan(0)
      for (const { scores, corpus } of results)
        for (const system of ['base', 'tuned', 'same'])
          expect(corpus?.[system] ?? scores?.[system].length, `${metric} ${system}`).toBeDefined()
    }
  })

  it('gives corpus scores, their intervals and paired tests for BLEU', () => {
    const [result] = evaluate({ rows, metrics: ['bleu'], baseline: 'base', samples: 500 })
    const predictions = rows.map(({ outputs }) => outputs.tuned)
    const alone = bleu({ predictions, references: rows.map(({ reference }) => reference) })
    expect(result.corpus?.tuned).toBe(alone.score)
    expect(result.signature).toBe(alone.signature)
    const interval = result.intervals?.tuned ?? { low: 100, high: 0 }
    expect(interval.low).toBeLessThanOrEqual(alone.score)
    expect(interval.high).toBeGreaterThanOrEqual(alone.score - 1e-3)
    expect(result.differences?.tuned.difference).toBeCloseTo(alone.score - (result.corpus?.base ?? 0), 10)
    expect(result.differences?.tuned.pValue).toBeLessThan(0.01)
    expect(result.differences?.same).toMatchObject({ difference: 0, low: 0, high: 0, pValue: 1 })
    expect(result.differences?.base).toBeUndefined()
  })

  it('tests macro F1 and entity F1 by resampling their counts', () => {
    const list = Array.from({ length: 30 }, (_, i) => ({
      id: i,
      reference: ['yes', 'no', 'maybe'][i % 3],
      outputs: { base: i % 2 ? 'Yes.' : 'unclear', tuned: `Answer: ${['yes', 'no', 'maybe'][i % 10 ? i % 3 : 0]}` },
    }))
    const [accuracy, macro] = evaluate({ rows: list, metrics: ['pubmedQa'] })
    const answers = list.map(({ outputs }) => outputs.tuned)
    const wanted = pubmedQa({ predictions: answers, references: list.map(({ reference }) => reference as 'yes') })
    expect(macro.corpus?.tuned).toBeCloseTo(wanted.macroF1, 12)
    expect(macro.differences?.tuned.pValue).toBeLessThan(0.01)
    expect(accuracy.scores?.tuned.filter((x) => x === 1)).toHaveLength(Math.round(wanted.accuracy * 30))
    const tagged = list.map(({ id }) => ({
      id,
      reference: 'the : O\nred : B-C\nfox : I-C\nruns : O',
      outputs: { base: 'the : O\nred : B-C', tuned: id % 5 ? 'red : B-C\nfox : I-C' : '' },
    }))
    const [entities] = evaluate({ rows: tagged, metrics: ['entityF1'] })
    expect(entities.corpus).toEqual({ base: 0, tuned: (2 * 24) / (24 + 30) })
    expect(entities.differences?.tuned.pValue).toBeLessThan(0.01)
  })

  it('says which row lacks what a metric needs', () => {
    const bare = [rows[0], { id: 1, outputs: rows[0].outputs }]
    expect(() => evaluate({ rows: bare, metrics: ['bleu'] })).toThrow(/"BLEU" needs a reference.*row 1/)
    expect(() => evaluate({ rows, metrics: ['pubmedQa'] })).toThrow(/none of yes, no, maybe.*row 0/)
    expect(() => evaluate({ rows, systems: ['base', 'none'] })).toThrow(/no output of "none".*row 0/)
    expect(() => evaluate({ rows, metrics: ['rogue' as never] })).toThrow(/metrics\.0/)
    expect(evaluate({ rows: bare, metrics: ['repetition'] })).toHaveLength(1)
  })
})

describe('compare', () => {
  it('writes the report in four forms, and a review sheet', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'compare-'))
    try {
      const { files, summary, metrics } = await compare({
        rows,
        metrics: ['rouge', 'bleu'],
        checks: [lengthBetween({ min: 5 })],
        results: [{ name: 'perplexity', corpus: { base: 9, tuned: 5, same: 9 }, higherIsBetter: false }],
        samples: 500,
        outputFolder: join(folder, 'new'),
        blind: true,
      })
      expect((await readdir(join(folder, 'new'))).sort()).toEqual(
        [
          'report.csv',
          'report.html',
          'report.json',
          'report.md',
          'review.csv',
          'review.html',
          'review.key.json',
        ].sort(),
      )
      expect(files).toHaveLength(7)
      expect(metrics.map(({ name }) => name)).toEqual([
        'rouge1',
        'rouge2',
        'rougeL',
        'rougeLsum',
        'BLEU',
        'perplexity',
        'passes: length',
      ])
      const [rouge1] = summary.metrics
      expect(rouge1.systems.map(({ comparison }) => comparison?.verdict)).toEqual([
        undefined,
        'better',
        'no clear difference',
      ])
      const json = JSON.parse(await readFile(files[1], 'utf8'))
      expect(json.failures).toHaveLength(24)
      expect(json.rows[0].scores['passes: length']).toEqual({ base: 0, tuned: 1, same: 0 })
      expect(await readFile(files[3], 'utf8')).toContain('| perplexity ↓ | tuned | 5.000')
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
