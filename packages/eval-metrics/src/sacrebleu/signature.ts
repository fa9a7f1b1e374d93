/** The release whose numbers and signatures ours equal. */
const SACREBLEU_VERSION = '2.6.0'

const SHORT: Record<string, string> = {
  nrefs: '#',
  seed: 'rs',
  version: 'v',
  case: 'c',
  eff: 'e',
  smooth: 's',
  space: 's',
  norm: 'nr',
  punct: 'pn',
  asian: 'as',
}

export interface Signature {
  /** The full text sacrebleu prints, for a paper or a changelog. */
  signature: string
  signatureShort: string
}

/** What a significance run adds to a signature. */
export interface ResampleNote {
  bootstrapSamples?: number
  randomizationTrials?: number
  seed?: number
}

/**
 * Makes the `signature` of a metric.
 *
 * @param settings in sacrebleu's order; after the number of references ("var" when rows differ) and the resampling, before
 *   the version.
 */
export function signatureOf(settings: [name: string, value: string | number | boolean][], ter = false) {
  return (
    references: readonly (readonly string[])[],
    { bootstrapSamples, randomizationTrials, seed }: ResampleNote = {},
  ): Signature => {
    const counts = new Set(references.map((row) => row.length))
    const fields = [
      ['nrefs', counts.size === 1 ? [...counts][0] : 'var'],
      ['bs', bootstrapSamples],
      ['ar', randomizationTrials],
      ['seed', seed],
      ...settings.map(([name, value]) => [name, value === true ? 'yes' : value === false ? 'no' : value]),
      ['version', SACREBLEU_VERSION],
    ].filter(([, value]) => value !== undefined) as [string, string | number][]
    const short = (name: string) => (ter && name === 'tok' ? 't' : (SHORT[name] ?? name))
    return {
      signature: fields.map(([name, value]) => `${name}:${value}`).join('|'),
      signatureShort: fields.map(([name, value]) => `${short(name)}:${value}`).join('|'),
    }
  }
}
