import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { recoverFolders } from '@tunesmith/core'
import { MANIFEST_FILE, type Manifest, readManifest, verifyFiles } from './manifest'

export interface FoundCheckpoint extends Manifest {
  folder: string
}

const NAME = /^checkpoint-\d+$/

export const checkpointName = (step: number) => `checkpoint-${step}`

/** The checkpoints in a folder, the newest run's newest first, and what looks like one and is not. Nothing is verified. */
export async function listCheckpoints(outputDir: string): Promise<{ found: FoundCheckpoint[]; problems: string[] }> {
  const names = await readdir(outputDir).catch(() => [])
  const found: FoundCheckpoint[] = []
  const problems: string[] = []
  for (const name of names.filter((name) => NAME.test(name))) {
    const folder = join(outputDir, name)
    try {
      found.push({ folder, ...(await readManifest(folder)) })
    } catch {
      problems.push(`${name} was ignored: it has no readable ${MANIFEST_FILE}, so it is half-written or not ours`)
    }
  }
  found.sort((a, b) => b.run - a.run || b.step - a.step)
  return { found, problems }
}

/** The newest checkpoint whose files all are what was saved; reads them all. */
export async function newestWholeCheckpoint(
  outputDir: string,
): Promise<{ checkpoint: FoundCheckpoint | undefined; problems: string[] }> {
  const { found, problems } = await listCheckpoints(outputDir)
  for (const checkpoint of found) {
    try {
      await verifyFiles(checkpoint.folder, checkpoint)
      return { checkpoint, problems }
    } catch (error) {
      problems.push(`${checkpointName(checkpoint.step)} was ignored: ${(error as Error).message}`)
    }
  }
  return { checkpoint: undefined, problems }
}

/** Removes what an earlier process left half-written; returns the names. */
export const removeUnfinished = (outputDir: string): Promise<string[]> => recoverFolders(outputDir, NAME)
