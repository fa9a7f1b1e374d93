import { describe, expect, it } from 'vitest'
import { bleuMetric } from '../sacrebleu/bleu'
import { chrfMetric } from '../sacrebleu/chrf'
import { terMetric } from '../sacrebleu/ter'
import { referencesFromStreams } from '../strings/pairs'
import { close, type SacrebleuGolden } from '../testing/sacrebleu-golden'
import { golden } from '../testing/shared'
import { pairedTest } from './paired-test'

const data = golden<SacrebleuGolden>('bleu.json')?.significance

describe.skipIf(!data)('against sacrebleu', () => {
  it.each(['bootstrap', 'randomization'] as const)('gives its scores, intervals and p values: %s', (test) => {
    const wanted = data?.[test === 'bootstrap' ? 'paired_bs' : 'paired_ar']
    const results = pairedTest({
      systems: (data?.systems ?? []).map(({ name, hypotheses }) => ({ name, predictions: hypotheses })),
      references: referencesFromStreams(data?.references ?? []),
      metrics: [bleuMetric(), chrfMetric(), terMetric()],
      test,
      samples: wanted?.n_samples,
      seed: wanted?.seed,
    })
    expect(results.map(({ metric }) => metric)).toEqual(Object.keys(wanted?.results ?? {}))
    for (const { metric, signature, systems } of results) {
      expect(signature).toBe(wanted?.signatures[metric])
      wanted?.results[metric].forEach((row, i) => {
        expect(systems[i].name).toBe(row.system)
        expect(systems[i].pValue, `${metric} ${row.system}`).toBe(row.p_value)
        expect(close(systems[i].score, row.score)).toBe(true)
        if (row.mean === null) expect(systems[i]).toMatchObject({ mean: null, ci: null })
        else {
          expect(close(systems[i].mean ?? undefined, row.mean), `${metric} mean ${systems[i].mean} ${row.mean}`).toBe(
            true,
          )
          expect(close(systems[i].ci ?? undefined, row.ci), `${metric} ci ${systems[i].ci} ${row.ci}`).toBe(true)
        }
      })
    }
  })
})
