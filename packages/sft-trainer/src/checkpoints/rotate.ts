import { rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { listCheckpoints } from './find'

/**
 * Deletes this run's oldest checkpoints until at most `limit` are left. The newest and the best always stay.
 *
 * @param keep folders that stay whatever their age.
 */
export async function rotateCheckpoints(
  outputDir: string,
  { limit, run, keep }: { limit: number; run: number; keep: readonly (string | undefined)[] },
): Promise<void> {
  const { found } = await listCheckpoints(outputDir)
  const mine = found.filter((checkpoint) => checkpoint.run === run)
  const [newest, ...older] = mine
  if (!newest) return
  let left = mine.length
  for (const { folder } of older.reverse()) {
    if (left <= limit) return
    if (keep.includes(folder)) continue
    // Under the name of something unfinished first: a process that dies while deleting leaves nothing that looks whole.
    const doomed = join(dirname(folder), `.${basename(folder)}.deleted.tmp`)
    await rename(folder, doomed)
    await rm(doomed, { recursive: true, force: true })
    left--
  }
}
