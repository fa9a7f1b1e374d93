import type { Matches, NormalizedText } from '../normalized-text'

/** What becomes of the matches of a pattern that a text is cut at. */
export const BEHAVIORS = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const
export type Behavior = (typeof BEHAVIORS)[number]

/** Cuts a text at the matches; empty pieces are left out. */
export function splitAt(text: NormalizedText, matches: Matches, behavior: Behavior): NormalizedText[] {
  const cuts = cutsOf(matches, behavior)
  const out: NormalizedText[] = []
  for (let i = 0; i < cuts.length; i += 2) {
    const [start, end] = [cuts[i]!, cuts[i + 1]!]
    if (start < end) out.push(text.slice(start, end))
  }
  return out
}

function cutsOf(matches: Matches, behavior: Behavior): number[] {
  const cuts: number[] = []
  let previous = false
  switch (behavior) {
    case 'Isolated':
      for (let i = 0; i < matches.length; i += 3) cuts.push(matches[i]!, matches[i + 1]!)
      return cuts
    case 'Removed':
      for (let i = 0; i < matches.length; i += 3) if (matches[i + 2] === 0) cuts.push(matches[i]!, matches[i + 1]!)
      return cuts
    case 'Contiguous':
    case 'MergedWithPrevious':
      for (let i = 0; i < matches.length; i += 3) {
        const match = matches[i + 2] === 1
        const joins = behavior === 'Contiguous' ? match === previous : match && !previous
        if (joins && cuts.length > 0) cuts[cuts.length - 1] = matches[i + 1]!
        else cuts.push(matches[i]!, matches[i + 1]!)
        previous = match
      }
      return cuts
    case 'MergedWithNext': {
      // From the end: a match takes in what comes after it, unless that is a match too.
      const reversed: number[] = []
      for (let i = matches.length - 3; i >= 0; i -= 3) {
        const match = matches[i + 2] === 1
        if (match && !previous && reversed.length > 0) reversed[reversed.length - 1] = matches[i]!
        else reversed.push(matches[i + 1]!, matches[i]!)
        previous = match
      }
      return reversed.reverse()
    }
  }
}

/** The same with matches and gaps changing places. */
export function inverted(matches: Matches): Matches {
  for (let i = 2; i < matches.length; i += 3) matches[i] = 1 - matches[i]!
  return matches
}

/** Every character that `is` says yes to is a match of its own. */
export function matchesOf(text: string, is: (c: number) => boolean): Matches {
  const out: Matches = []
  let done = 0
  for (let i = 0; i < text.length; ) {
    const c = text.codePointAt(i)!
    const after = i + (c > 0xffff ? 2 : 1)
    if (is(c)) {
      if (done < i) out.push(done, i, 0)
      out.push(i, after, 1)
      done = after
    }
    i = after
  }
  if (done < text.length) out.push(done, text.length, 0)
  return out
}
