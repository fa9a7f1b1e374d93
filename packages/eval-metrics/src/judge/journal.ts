import { createHash } from 'node:crypto'
import { appendFile, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileError, isTunesmithError, makeFolder, statRegularFile, TunesmithError } from '@tunesmith/core'

/** One vote, as written to the journal. */
export interface Vote {
  /** Names the exact question: model, criteria, texts, order and number. */
  key: string
  id: string
  /** The preferred system or `tie`; null when the judge gave no verdict. */
  choice: string | null
  /** True when the second system stood first. */
  swapped: boolean
  reply: string
  promptTokens: number
  completionTokens: number
}

export function voteKey(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}

/** Votes already cast, so that a run that was stopped goes on where it was; a half-written last line is left out. */
export async function readJournal(path: string | undefined): Promise<Map<string, Vote>> {
  const votes = new Map<string, Vote>()
  if (path === undefined) return votes
  let text: string
  try {
    await statRegularFile(path)
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isTunesmithError(error) && error.code === 'not_found') return votes
    throw fileError(error, path, 'read the journal')
  }
  for (const line of text.split('\n')) {
    try {
      const vote = JSON.parse(line) as Vote
      if (typeof vote.key === 'string' && vote.choice !== null) votes.set(vote.key, vote)
    } catch {
      // Cut off by a crash: that vote is cast again.
    }
  }
  return votes
}

/** Appends votes one after the other; a new run starts on a fresh line whatever the last one left. */
export function journalWriter(path: string | undefined): (vote: Vote) => Promise<void> {
  let last: Promise<void> = Promise.resolve()
  let opened = false
  return (vote) => {
    if (path === undefined) return last
    last = last.then(async () => {
      try {
        if (!opened) await makeFolder(dirname(path))
        await appendFile(path, `${opened ? '' : '\n'}${JSON.stringify(vote)}\n`)
        opened = true
      } catch (cause) {
        throw new TunesmithError('The journal cannot be written', { code: 'io', where: path, cause })
      }
    })
    return last
  }
}
