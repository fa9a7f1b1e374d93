/** The release whose numbers and signatures ours equal. */
export const SACREBLEU_VERSION = '2.6.0'

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

/** @param fields in sacrebleu's order; `undefined` ones are left out. The version always comes last. */
export function formatSignature(fields: [name: string, value: string | number | undefined][], ter = false): Signature {
  const present = [...fields.filter(([, value]) => value !== undefined), ['version', SACREBLEU_VERSION] as const]
  const short = (name: string) => (ter && name === 'tok' ? 't' : (SHORT[name] ?? name))
  return {
    signature: present.map(([name, value]) => `${name}:${value}`).join('|'),
    signatureShort: present.map(([name, value]) => `${short(name)}:${value}`).join('|'),
  }
}

/** How many references the rows have: the number, or "var" when rows differ. */
export function referenceCount(references: readonly (readonly string[])[]): string {
  const counts = new Set(references.map((row) => row.length))
  return counts.size === 1 ? String([...counts][0]) : 'var'
}

/** What a significance run adds to a signature. */
export interface ResampleNote {
  bootstrapSamples?: number
  randomizationTrials?: number
  seed?: number
}

export function resampleFields({ bootstrapSamples, randomizationTrials, seed }: ResampleNote) {
  return [
    ['bs', bootstrapSamples],
    ['ar', randomizationTrials],
    ['seed', seed],
  ] as [string, number | undefined][]
}
