import { Random } from '@tunesmith/core'
import type { Note } from 'patient-summaries/note-format'

/** The other ward's way to write: the same lines from last to first. */
export const otherOrder = (summary: string): string => summary.split('\n').reverse().join('\n')

/** The notes, of which half, drawn from the seed, have summaries in the other order: what two wards wrote that never agreed. */
export function ofTwoWards(notes: readonly Note[], seed: number): Note[] {
  const flipped = new Set(new Random(seed, 'wards').shuffle([...notes.keys()]).slice(0, Math.floor(notes.length / 2)))
  return notes.map((note, i) => (flipped.has(i) ? { ...note, completion: otherOrder(note.completion) } : note))
}

// A type alias is a row of a dataset; an interface would not be.
export type Pair = Record<'prompt' | 'chosen' | 'rejected', string>

/**
 * Pairs of a summary and a worse one. With sections the worse one is the same in the other order, so that only the order can be learnt;
 * summaries without sections are paired with the summary of the next note, which is wrong about the patient.
 *
 * @param ask the prompt that the model gets for a note.
 */
export function makePairs(notes: readonly Note[], sections: readonly string[], ask: (note: Note) => string): Pair[] {
  return notes.map((note, i) => ({
    prompt: ask(note),
    chosen: note.completion,
    rejected: sections.length > 0 ? otherOrder(note.completion) : notes[(i + 1) % notes.length]!.completion,
  }))
}
