import { describe, expect, it } from 'vitest'
import { referencesFromStreams } from '../strings/pairs'
import { camelKeys, close, type SacrebleuGolden } from '../testing/sacrebleu-golden'
import { golden } from '../testing/shared'
import { type ChrfOptions, chrf, sentenceChrf } from './chrf'
import { sentenceTer, type TerOptions, ter } from './ter'

const data = golden<SacrebleuGolden>('bleu.json')

describe.skipIf(!data)('against sacrebleu', () => {
  it('scores every corpus with every setting', () => {
    let checked = 0
    for (const corpus of data?.corpora ?? []) {
      const pairs = { predictions: corpus.hypotheses, references: referencesFromStreams(corpus.references) }
      for (const wanted of corpus.results.filter(({ metric }) => metric !== 'BLEU')) {
        const options = { ...pairs, ...camelKeys(wanted.params) }
        const result = wanted.metric === 'TER' ? ter(options as TerOptions) : chrf(options as ChrfOptions)
        const what = `corpus ${corpus.id} ${wanted.metric} ${JSON.stringify(wanted.params)}`
        expect(close(result.score, wanted.score), `${what}: ${result.score} ${wanted.score}`).toBe(true)
        expect(result, what).toMatchObject({
          name: wanted.metric === 'TER' ? 'TER' : wanted.name,
          signature: wanted.signature,
          signatureShort: wanted.signature_short,
          text: wanted.text,
        })
        if (wanted.metric === 'TER')
          expect(result, what).toMatchObject({ numEdits: wanted.num_edits, refLength: wanted.ref_length })
        checked++
      }
    }
    expect(checked).toBeGreaterThan(400)
  })

  it('scores single sentences', () => {
    for (const corpus of data?.corpora ?? []) {
      const references = referencesFromStreams(corpus.references)
      for (const wanted of corpus.sentence) {
        const reference = references[wanted.index].filter((text) => text !== null)
        const pair = { prediction: corpus.hypotheses[wanted.index], reference }
        expect(close(sentenceChrf(pair), wanted.chrf)).toBe(true)
        expect(close(sentenceChrf({ ...pair, wordOrder: 2 }), wanted.chrfpp)).toBe(true)
        expect(close(sentenceTer(pair), wanted.ter)).toBe(true)
      }
    }
  })
})
