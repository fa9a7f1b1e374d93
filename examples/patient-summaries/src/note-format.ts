import type { Row } from '@tunesmith/datasets'

/** A note, its summary, and a number that must never reach the model. */
export interface Note {
  id: string
  prompt: string
  completion: string
}

/** What is trained on: the note under a heading, and the summary. There is no other column, so no id can slip in. */
export const toExample = ({ prompt, completion }: Pick<Note, 'prompt' | 'completion'>) => ({
  prompt: `### Note\n${prompt}\n\n### Summary\n`,
  completion,
})

/** Rows of our own data, of the Hub's augmented clinical notes, or of PubMedQA (an abstract and its conclusion). */
export function readNote(row: Row): Note {
  const contexts = row.CONTEXTS as string[] | undefined
  if (contexts) return { id: String(row.id), prompt: contexts.join('\n'), completion: String(row.LONG_ANSWER) }
  const { id = row.idx, prompt = row.note, completion = row.summary } = row
  return { id: String(id), prompt: String(prompt), completion: String(completion) }
}

/**
 * The headings with which nearly all summaries are divided (`Reason: ...`), in their order: what a format check may ask for.
 */
export function sharedSections(summaries: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const summary of summaries)
    for (const name of new Set([...summary.matchAll(/^([A-Z][A-Za-z ]{2,24}):/gm)].map(([, name]) => name!)))
      counts.set(name, (counts.get(name) ?? 0) + 1)
  const shared = [...counts].filter(([, count]) => count >= 0.95 * summaries.length).map(([name]) => name)
  const first = summaries.find((summary) => shared.every((name) => summary.includes(`${name}:`))) ?? ''
  return shared.sort((a, b) => first.indexOf(`${a}:`) - first.indexOf(`${b}:`))
}
