import { type Pattern, type StepJson, stepsOf } from './tokenizer-json'
import type { Form } from './unicode/normal-forms'

/** A normalizer in a form that can also say where each unit of its output came from. */
export interface Normalizer {
  /** Text put in front of every non-empty piece. */
  prepend: string
  /** A single code unit replaced by another, done in place; both -1 for none. */
  from: number
  to: number
  /** What comes before both: a Unicode normal form. */
  form: Form | undefined
}

/** Compiles the normalizers exact here (a normal form, then SentencePiece's space marker); a string says why not. */
export function compileNormalizer(json: StepJson | null): Normalizer | string {
  const out: Normalizer = { prepend: '', from: -1, to: -1, form: undefined }
  for (const step of stepsOf(json, 'normalizers')) {
    if (step.type === 'NFC' || step.type === 'NFD' || step.type === 'NFKC' || step.type === 'NFKD') {
      if (out.form || out.prepend || out.from !== -1) return `normalizer ${step.type} after another one`
      out.form = step.type
    } else if (step.type === 'Prepend') {
      if (out.prepend || out.from !== -1) return 'normalizer Prepend after another one'
      if (typeof step.prepend !== 'string' || step.prepend === '') return 'normalizer Prepend of nothing'
      out.prepend = String(step.prepend)
    } else if (step.type === 'Replace') {
      const pattern = (step.pattern ?? {}) as Pattern
      const content = String(step.content)
      if (
        !('String' in pattern) ||
        typeof pattern.String !== 'string' ||
        pattern.String.length !== 1 ||
        content.length !== 1 ||
        out.from !== -1
      )
        return `normalizer Replace of ${JSON.stringify(pattern)}`
      out.from = pattern.String.charCodeAt(0)
      out.to = content.charCodeAt(0)
    } else return `normalizer ${step.type}`
  }
  return out
}

/** True when every code unit is below U+0300: such text is already in NFC (not in the other forms). */
export function isPlain(units: Uint16Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (units[i]! >= 0x300) return false
  return true
}
