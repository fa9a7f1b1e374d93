import { z } from 'zod'
import type { TextContext } from '../context'
import type { NormalizedText } from '../normalized-text'
import { char, inexact, type Loading, readStep } from '../read-step'
import type { StepJson } from '../tokenizer-json'
import { matchesOf, splitAt } from './split'

export type PrependScheme = 'always' | 'first' | 'never'

export interface MetaspaceSettings {
  replacement: string
  scheme: PrependScheme
  split: boolean
}

/** The settings of a Metaspace pre-tokenizer or decoder; older files say `add_prefix_space`. */
export function readMetaspace(step: StepJson, place: string, loading: Loading): MetaspaceSettings {
  const settings = readStep(
    step,
    {
      replacement: char.default('▁'),
      prepend_scheme: z.enum(['always', 'first', 'never']).optional(),
      add_prefix_space: z.boolean().nullish(),
      split: z.boolean().nullish(),
      str_rep: z.string().nullish(),
    },
    place,
    loading,
  )
  const { add_prefix_space, prepend_scheme } = settings
  if (add_prefix_space === false && prepend_scheme !== undefined && prepend_scheme !== 'never')
    throw inexact(`${place} Metaspace with add_prefix_space false and another prepend_scheme`, loading.where)
  const scheme = add_prefix_space === false ? 'never' : (prepend_scheme ?? 'always')
  return { replacement: settings.replacement, scheme, split: settings.split ?? true }
}

/** Makes blanks visible, puts one in front, and cuts before each of them. */
export function metaspace(settings: MetaspaceSettings) {
  const { replacement, scheme, split } = settings
  const marker = replacement.codePointAt(0)!
  return (text: NormalizedText, { continued }: TextContext): NormalizedText[] => {
    const blanks = matchesOf(text.text, (c) => c === 0x20)
    if (blanks.length > 3 || blanks[2] === 1) text.replace(blanks, replacement)
    const begins = text.from === 0
    if (
      !text.text.startsWith(replacement) &&
      (scheme === 'always' || (scheme === 'first' && begins)) &&
      !(continued && begins)
    )
      text.prepend(replacement)
    return split
      ? splitAt(
          text,
          matchesOf(text.text, (c) => c === marker),
          'MergedWithNext',
        )
      : [text]
  }
}
