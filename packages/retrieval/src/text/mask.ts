import { invalidOptions } from '@tunesmith/core'

/** What is masked before indexing: a kind, and the pattern (with the flag `g`) that finds it. */
export interface MaskPattern {
  kind: string
  pattern: RegExp
}

const MONTH =
  '(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)'

/**
 * Patterns for names behind a title, dates, e-mail addresses, telephone and other long numbers. They find what is written in these forms and
 * nothing else: a name without a title stays. Add patterns of your own for what your documents hold.
 */
export const MASKS: Readonly<Record<'names' | 'dates' | 'emails' | 'numbers', MaskPattern>> = {
  names: {
    kind: 'name',
    pattern:
      /(?<=\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Patient|Nurse|Sir|Madam)\.? )\p{Lu}[\p{L}'’-]+(?: (?:\p{Lu}\.|\p{Lu}[\p{L}'’-]+)){0,3}/gu,
  },
  dates: {
    kind: 'date',
    pattern: new RegExp(
      `\\b(?:\\d{4}-\\d{1,2}-\\d{1,2}|\\d{1,2}[/.]\\d{1,2}[/.]\\d{2,4}|\\d{1,2}(?:st|nd|rd|th)? ${MONTH}\\.?,? \\d{4}|${MONTH}\\.? \\d{1,2}(?:st|nd|rd|th)?,? \\d{4})\\b`,
      'g',
    ),
  },
  emails: { kind: 'email', pattern: /[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g },
  numbers: { kind: 'number', pattern: /(?<![\w.])\+?\d(?:[\d\s()/-]{5,}\d)(?![\w])/g },
}

/** What was masked: how often each kind, and in how many documents. */
export interface MaskReport {
  documents: number
  counts: Record<string, number>
}

/**
 * Makes a function that replaces each match by `[KIND]` and counts it in the report.
 *
 * @throws {TunesmithError} `invalid_options` for a pattern that is not global.
 */
export function createMask(patterns: readonly MaskPattern[], report: MaskReport): (text: string) => string {
  for (const { kind, pattern } of patterns)
    if (!pattern.global)
      throw invalidOptions(`The pattern of "${kind}" has no flag g, so it would mask the first match alone`, {
        where: 'mask',
        remedy: `Write /${pattern.source.slice(0, 40)}/g`,
      })
  return (text) => {
    let masked = text
    for (const { kind, pattern } of patterns)
      masked = masked.replace(pattern, () => {
        report.counts[kind] = (report.counts[kind] ?? 0) + 1
        return `[${kind.toUpperCase()}]`
      })
    if (masked !== text) report.documents++
    return masked
  }
}
