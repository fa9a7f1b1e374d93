import { describe, expect, it } from 'vitest'
import { Pcg64 } from '../random/pcg64'
import { referencesFromStreams } from '../strings/pairs'
import { camelKeys, close, type SacrebleuGolden } from '../testing/sacrebleu-golden'
import { golden, goldenBytes } from '../testing/shared'
import { type BleuOptions, bleu, sentenceBleu } from './bleu'
import { bleuTokens } from './tokenizers'

const data = golden<SacrebleuGolden>('bleu.json')

describe.skipIf(!data)('against sacrebleu', () => {
  it('tokenizes alike', () => {
    for (const row of data?.tokenizers ?? [])
      for (const tokenize of ['13a', 'intl', 'zh'] as const)
        expect(bleuTokens(row.text, tokenize).join(' '), `${tokenize}: ${row.text}`).toBe(row[tokenize])
  })

  it('scores every corpus with every setting', () => {
    let checked = 0
    for (const corpus of data?.corpora ?? []) {
      const references = referencesFromStreams(corpus.references)
      for (const wanted of corpus.results.filter((result) => result.metric === 'BLEU')) {
        const options = { predictions: corpus.hypotheses, references, ...camelKeys(wanted.params) } as BleuOptions
        const result = bleu(options)
        const what = `corpus ${corpus.id} ${JSON.stringify(wanted.params)}`
        expect(close(result.score, wanted.score), `${what}: ${result.score} ${wanted.score}`).toBe(true)
        for (let i = 0; i < result.precisions.length; i++)
          expect(close(result.precisions[i], wanted.precisions?.[i]), what).toBe(true)
        expect(result, what).toMatchObject({
          counts: wanted.counts,
          totals: wanted.totals,
          sysLen: wanted.sys_len,
          refLen: wanted.ref_len,
          signature: wanted.signature,
          signatureShort: wanted.signature_short,
          text: wanted.text,
        })
        expect(close(result.bp, wanted.bp)).toBe(true)
        checked++
      }
    }
    expect(checked).toBeGreaterThan(600)
  })

  it('scores single sentences', () => {
    for (const corpus of data?.corpora ?? []) {
      const references = referencesFromStreams(corpus.references)
      for (const wanted of corpus.sentence) {
        const reference = references[wanted.index].filter((text) => text !== null)
        const pair = { prediction: corpus.hypotheses[wanted.index], reference }
        const score = sentenceBleu(pair)
        expect(close(score.score, wanted.bleu.score), `corpus ${corpus.id} sentence ${wanted.index}`).toBe(true)
        expect(score).toMatchObject({ sysLen: wanted.bleu.sys_len, refLen: wanted.bleu.ref_len })
        expect(close(sentenceBleu({ ...pair, smoothMethod: 'floor' }).score, wanted.bleu_floor)).toBe(true)
      }
    }
  })

  it('draws the recorded resamples', () => {
    const recorded = goldenBytes('bleu_significance.safetensors', 'bs_indices')
    expect(new Pcg64(12345).choice(80, 80_000)).toEqual(Uint32Array.from(recorded?.data ?? []))
    const swaps = goldenBytes('bleu_significance.safetensors', 'ar_select_baseline')
    expect(new Pcg64(12345).booleans(80_000)).toEqual(Uint8Array.from(swaps?.data ?? []))
  })

  it('gives the same interval for one system', () => {
    const { references, systems, single_system_bootstrap: wanted } = data?.significance ?? {}
    const result = bleu({
      predictions: systems?.[0].hypotheses ?? [],
      references: referencesFromStreams(references ?? []),
      bootstrap: true,
    })
    expect(close(result.score, wanted?.score)).toBe(true)
    expect(close(result.interval?.mean, wanted?.mean)).toBe(true)
    expect(close(result.interval?.ci, wanted?.ci)).toBe(true)
    expect(result).toMatchObject({ signature: wanted?.signature, text: wanted?.text })
  })
})
