import { randomBytes } from 'node:crypto'
import { copyFile, lstat, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { makeFolder } from '@tunesmith/core'
import { checkRepoPath, isCommit, type Repo } from '../connection/repo'
import { cleanEtag, type RepoFile } from '../connection/repo-files'
import { linksWanted } from '../connection/settings'

/**
 * The cache folder of one repository, laid out as Python's huggingface_hub (1.x) does, which can share it:
 * `blobs/ETAG` holds contents, `snapshots/COMMIT/PATH` links to them, `refs/REVISION` says which commit a branch was at,
 * and `trees/COMMIT.json` lists a commit's files, so that a folder that lacks some is recognised without the network.
 */
export class RepoCache {
  readonly folder: string
  readonly locks: string

  constructor(cacheFolder: string, { id, type }: Pick<Repo, 'id' | 'type'>) {
    const name = [`${type}s`, ...id.split('/')].join('--')
    this.folder = join(cacheFolder, name)
    this.locks = join(cacheFolder, '.locks', name)
  }

  blob(etag: string): string {
    return join(this.folder, 'blobs', etag)
  }
  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit)
  }
  pointer(commit: string, path: string): string {
    return join(this.snapshot(commit), ...path.split('/'))
  }

  /** The commit a revision stood for when it was last downloaded. */
  async readRef(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision
    const text = await readFile(join(this.folder, 'refs', ...revision.split('/')), 'utf8').catch(() => '')
    return isCommit(text.trim()) ? text.trim() : undefined
  }

  async writeRef(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || (await this.readRef(revision)) === commit) return
    await replaceFile(join(this.folder, 'refs', ...revision.split('/')), commit)
  }

  /** The files of a commit, when they have been listed before. */
  async readTree(commit: string): Promise<RepoFile[] | undefined> {
    try {
      const { format_version, files } = JSON.parse(await readFile(this.treePath(commit), 'utf8')) as StoredTree
      if (format_version !== 1) return undefined
      return Object.entries(files).map(([path, { size, blob_id, lfs_sha256, lfs_size, xet_hash }]) => ({
        // Another program may have listed a hostile repository here.
        path: checkRepoPath(path, this.folder),
        size: lfs_size ?? size,
        etag: cleanEtag(lfs_sha256 ?? blob_id, this.folder),
        blobId: blob_id,
        xetHash: xet_hash,
      }))
    } catch {
      return undefined // not there, damaged or hostile: it is fetched again
    }
  }

  async writeTree(commit: string, files: readonly RepoFile[]): Promise<void> {
    const entries = files.map(({ path, size, etag, blobId, xetHash }) => [
      path,
      {
        size,
        blob_id: blobId,
        ...(etag === blobId ? {} : { lfs_sha256: etag, lfs_size: size }),
        xet_hash: xetHash,
      },
    ])
    const tree = { format_version: 1, files: Object.fromEntries(entries) }
    await replaceFile(this.treePath(commit), JSON.stringify(tree, null, 2))
  }

  private treePath(commit: string): string {
    return join(this.folder, 'trees', `${commit}.json`)
  }

  /** Whether a file of a snapshot is there, with its content, of the size it should have. */
  async has(commit: string, { path, size }: Pick<RepoFile, 'path' | 'size'>): Promise<boolean> {
    const stats = await stat(this.pointer(commit, path)).catch(() => undefined)
    return stats?.isFile() === true && (size === undefined || stats.size === size)
  }

  /**
   * Puts a blob into a snapshot: as a link, or, where links cannot be made, by moving it there (`fresh`: nothing else
   * uses it yet) or copying it.
   */
  async link(commit: string, path: string, etag: string, fresh: boolean): Promise<void> {
    const blob = this.blob(etag)
    const pointer = this.pointer(commit, path)
    await makeFolder(dirname(pointer))
    const temporary = `${pointer}.${randomBytes(6).toString('hex')}.tmp`
    try {
      if (!linksWanted()) throw new Error('links are switched off')
      await symlink(relative(dirname(pointer), blob), temporary)
    } catch {
      // A link to the same blob left by another file system cannot be kept.
      if ((await lstat(pointer).catch(() => undefined))?.isSymbolicLink()) await rm(pointer)
      if (fresh) return rename(blob, pointer)
      await copyFile(blob, temporary)
    }
    await rename(temporary, pointer)
  }
}

/** Readers see the old content or the new. Not forced to the disk: after a crash a damaged note is fetched again. */
async function replaceFile(path: string, content: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  await makeFolder(dirname(path))
  await writeFile(temporary, content)
  await rename(temporary, path)
}

interface StoredTree {
  format_version: number
  files: Record<string, { size: number; blob_id: string; lfs_sha256?: string; lfs_size?: number; xet_hash?: string }>
}

/** Marks the cache as one, so that backup programs may leave it out (bford.info/cachedir). */
export async function tagCacheFolder(cacheFolder: string): Promise<void> {
  const path = join(cacheFolder, 'CACHEDIR.TAG')
  if (await stat(path).catch(() => undefined)) return
  await replaceFile(path, 'Signature: 8a477f597d28d172789f06886806bc55\n# Downloads from the Hugging Face Hub.\n')
}
