import { camelCase } from '@tunesmith/core'
/** Shape of the golden file made by sacrebleu. */
export interface SacrebleuGolden {
  corpora: {
    id: number
    hypotheses: string[]
    /** `[stream][row]` */
    references: (string | null)[][]
    results: {
      metric: 'BLEU' | 'chrF' | 'TER'
      params: object
      score: number
      signature: string
      signature_short: string
      text: string
      name?: string
      precisions?: number[]
      bp?: number
      sys_len?: number
      ref_len?: number
      counts?: number[]
      totals?: number[]
      num_edits?: number
      ref_length?: number
    }[]
    sentence: {
      index: number
      bleu: { score: number; sys_len: number; ref_len: number }
      bleu_floor: number
      chrf: number
      chrfpp: number
      ter: number
    }[]
  }[]
  tokenizers: { text: string; '13a': string; intl: string; char: string; zh: string }[]
  significance: {
    references: string[][]
    systems: { name: string; hypotheses: string[] }[]
    paired_bs: SignificanceGolden
    paired_ar: SignificanceGolden
    single_system_bootstrap: { score: number; mean: number; ci: number; signature: string; text: string }
  }
}

export interface SignificanceGolden {
  seed: number
  n_samples: number
  signatures: Record<string, string>
  results: Record<
    string,
    { system: string; score: number; mean: number | null; ci: number | null; p_value: number | null }[]
  >
}

/** sacrebleu's constructor arguments under our names. */
export const camelKeys = (params: object) =>
  Object.fromEntries(Object.entries(params).map(([key, value]) => [camelCase(key), value]))

export const close = (actual: number | undefined, wanted: number | null | undefined) =>
  Math.abs((actual ?? Number.NaN) - (wanted ?? Number.NaN)) <= 1e-9
