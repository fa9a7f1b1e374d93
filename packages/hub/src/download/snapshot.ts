import { stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  failAs,
  fileError,
  inParallel,
  makeFolder,
  notFound,
  parseOptions,
  TunesmithError,
  withFileLock,
} from '@tunesmith/core'
import { z } from 'zod'
import { HubClient } from '../connection/client'
import { HubError } from '../connection/hub-error'
import { checkRepo, describeRepo, isCommit, type Repo, repoOptions } from '../connection/repo'
import { fetchFileInfo, fetchRevision, fetchTree, type RepoFile, resolveUrl } from '../connection/repo-files'
import { cacheFolder, connectionOptions, resolveConnection } from '../connection/settings'
import { RepoCache, tagCacheFolder } from './cache-layout'
import { downloadBlob } from './download-blob'
import { filterFiles } from './patterns'

/** How far a download is; given to `onProgress` after each piece received and each file finished. */
export interface DownloadProgress {
  /** The file the news is about. */
  file: string
  /** Bytes of that file that are there, and that it has (undefined: the server does not say). */
  loaded: number
  total: number | undefined
  /** Bytes of all files of this call that are there, and that they have as far as known. */
  overallLoaded: number
  overallTotal: number
  /** Files of this call that are complete, and all of them. */
  filesDone: number
  filesTotal: number
}

const patternList = z.array(z.string()).optional()

/** Options of {@link downloadSnapshot} apart from the repository itself. */
export const downloadOptions = {
  ...connectionOptions,
  /** Only files that one of these matches: `*` any text (`/` too), `?`, `[ab]`. Default all. */
  allowPatterns: patternList,
  /** No file that one of these matches. Default none. */
  ignorePatterns: patternList,
  /** The cache. Default `HF_HUB_CACHE`, else `HF_HOME/hub`, else ~/.cache/huggingface/hub. */
  cacheDir: z.string().min(1).optional(),
  /** Files downloaded at the same time. Default 8. */
  maxWorkers: z.int().min(1).max(64).default(8),
  onProgress: z
    .custom<(progress: DownloadProgress) => void>((value) => typeof value === 'function', 'must be a function')
    .optional(),
}

const schema = z.strictObject({ ...repoOptions, ...downloadOptions })
export type DownloadSnapshotOptions = z.input<typeof schema>
type Options = z.output<typeof schema>

/** Everything a call needs to know. */
interface Job {
  options: Options
  repo: Repo
  client: HubClient
  cache: RepoCache
}

/**
 * Downloads a repository's files at a revision into the cache shared with Python's huggingface_hub, and returns the
 * snapshot folder. What is in the cache already is not downloaded again; what was interrupted is resumed. Every
 * downloaded file's hash is checked.
 *
 * With a commit as revision and all its files in the cache the network is not used. When the Hub cannot be reached, a
 * copy in the cache is returned with a warning.
 *
 * @throws {TunesmithError} `not_found` (id, revision, or offline and not in the cache), `network`, `invalid_file` (a
 *   hash is wrong, a file name leaves its folder), `io`, `aborted`.
 */
export async function downloadSnapshot(options: DownloadSnapshotOptions): Promise<string> {
  const parsed = parseOptions(schema, options, 'downloadSnapshot')
  const repo = checkRepo(parsed)
  const client = new HubClient(await resolveConnection(parsed))
  const cache = new RepoCache(cacheFolder(parsed.cacheDir), repo)
  const job: Job = { options: parsed, repo, client, cache }
  const cached = await findCached(job)
  // A commit never changes: with all of its files here there is nothing to ask.
  if (cached?.complete && isCommit(repo.revision)) return cached.folder
  // Without a listing, from an older program, the folder is all that is known.
  const usable = cached !== undefined && (cached.complete || !cached.missing)
  if (client.connection.offline) {
    if (usable) return cached!.folder
    throw notCached(job, cached?.missing)
  }
  const found = await locate(job, usable).catch((error: unknown) => {
    if (!usable || !(error instanceof HubError && error.passing)) throw error
    process.emitWarning(`${error.message}. The copy in the cache is used, which may be older.`, 'TunesmithWarning')
    return undefined
  })
  if (!found) return cached!.folder
  await downloadFiles(job, found.commit, filterFiles(found.files, parsed.allowPatterns, parsed.ignorePatterns))
  // Only now: until all is there, the branch stays at the commit that was complete before.
  await cache.writeRef(repo.revision, found.commit).catch(() => undefined)
  return cache.snapshot(found.commit)
}

interface Cached {
  folder: string
  /** The files were listed before, and all that are asked for are there. */
  complete: boolean
  /** Those that are not; undefined when the files were never listed (a cache from an older program). */
  missing: string[] | undefined
}

/** What the cache has of this revision. */
async function findCached({ options, repo, cache }: Job): Promise<Cached | undefined> {
  const commit = await cache.readRef(repo.revision)
  if (commit === undefined) return undefined
  const folder = cache.snapshot(commit)
  const there = (await stat(folder).catch(() => undefined))?.isDirectory() === true
  const tree = await cache.readTree(commit)
  if (!tree) return there ? { folder, complete: false, missing: undefined } : undefined
  const missing: string[] = []
  for (const file of filterFiles(tree, options.allowPatterns, options.ignorePatterns))
    if (!(await cache.has(commit, file))) missing.push(file.path)
  if (missing.length === 0) await makeFolder(folder).catch(() => undefined)
  return { folder, complete: missing.length === 0, missing }
}

function notCached({ repo, cache }: Job, missing: string[] | undefined): TunesmithError {
  const what = missing
    ? `lacks ${missing.length} files of the ${describeRepo(repo)}: ${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ', …' : ''}`
    : `has no copy of the ${describeRepo(repo)} at revision "${repo.revision}"`
  return notFound(`The network is switched off, and the cache ${what}`, {
    where: cache.folder,
    remedy: 'Run it once with the network (unset HF_HUB_OFFLINE), or set HF_HOME to the cache that has it',
  })
}

/** The commit a revision stands for, and its files. */
async function locate({ repo, client, cache }: Job, haveCopy: boolean): Promise<{ commit: string; files: RepoFile[] }> {
  // With a copy at hand a server that is down is not waited for long.
  const retries = haveCopy ? Math.min(1, client.connection.retries) : client.connection.retries
  const { commit, siblings } = isCommit(repo.revision)
    ? { commit: repo.revision, siblings: [] }
    : await fetchRevision(client, repo, retries)
  const known = await cache.readTree(commit)
  if (known) return { commit, files: known }
  let files: RepoFile[]
  try {
    files = await fetchTree(client, repo, commit)
  } catch (error) {
    // Mirrors that copy only a part of the Hub have no tree listing; then each file is asked about.
    if (!(error instanceof TunesmithError) || error.code !== 'not_found' || siblings.length === 0) throw error
    return {
      commit,
      files: await inParallel(siblings, 8, (path) => fetchFileInfo(client, { ...repo, revision: commit }, path)),
    }
  }
  // A cache that may not be written to can still hold all the files.
  await cache.writeTree(commit, files).catch(() => undefined)
  return { commit, files }
}

/** Downloads what is not there yet, several files at a time. */
async function downloadFiles(job: Job, commit: string, files: readonly RepoFile[]): Promise<void> {
  const { options, repo, client, cache } = job
  const loaded = new Map<string, number>()
  let overallLoaded = 0
  let filesDone = 0
  const overallTotal = files.reduce((sum, { size }) => sum + (size ?? 0), 0)
  const report = (file: RepoFile, bytes: number, done: boolean) => {
    overallLoaded += bytes - (loaded.get(file.path) ?? 0)
    loaded.set(file.path, bytes)
    if (done) filesDone++
    const progress = { file: file.path, loaded: bytes, total: file.size, overallLoaded, overallTotal }
    options.onProgress?.({ ...progress, filesDone, filesTotal: files.length })
  }

  // Several names of one content are one download.
  const wanted = new Map<string, RepoFile[]>()
  for (const file of files)
    if (await cache.has(commit, file)) report(file, file.size ?? 0, true)
    else wanted.set(file.etag, [...(wanted.get(file.etag) ?? []), file])
  const groups = [...wanted.values()]
  try {
    await makeFolder(cache.snapshot(commit))
    await makeFolder(dirname(cache.blob('x')))
    if (groups.length > 0) await tagCacheFolder(cacheFolder(options.cacheDir))
  } catch (error) {
    throw fileError(error, cache.folder, 'write to the cache')
  }
  await checkSpace(cache.folder, groups)

  await inParallel(
    groups,
    options.maxWorkers,
    async (group, signal) => {
      const [file] = group as [RepoFile]
      const worker = new HubClient({ ...client.connection, signal })
      const target = cache.blob(file.etag)
      await withFileLock(
        `${cache.locks}/${file.etag}.tunesmith`,
        async () => {
          const absent: RepoFile[] = []
          for (const alias of group) if (!(await cache.has(commit, alias))) absent.push(alias)
          const existing = await stat(target).catch(() => undefined)
          const fresh = !existing || (file.size !== undefined && existing.size !== file.size)
          // Another process may have done it all while this one waited for the lock.
          if (absent.length > 0 && fresh)
            await downloadBlob({
              client: worker,
              repo,
              file,
              url: resolveUrl(client.connection.endpoint, repo, commit, file.path),
              target,
              onBytes: (bytes) => report(file, bytes, false),
            })
          for (const alias of absent) await cache.link(commit, alias.path, alias.etag, fresh && alias === absent.at(-1))
          for (const alias of group) report(alias, alias.size ?? loaded.get(file.path) ?? 0, true)
        },
        { signal },
      ).catch(failAs(target, 'write to the cache'))
    },
    client.connection.signal,
  )
}

/** Says early when the disk cannot hold what is to be downloaded. */
async function checkSpace(folder: string, groups: readonly (readonly RepoFile[])[]): Promise<void> {
  const needed = groups.reduce((sum, [file]) => sum + (file?.size ?? 0), 0)
  const disk = await statfs(folder).catch(() => undefined)
  const free = disk ? disk.bavail * disk.bsize : 0
  if (free === 0 || needed <= free) return
  const gb = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`
  throw new TunesmithError(`The download needs ${gb(needed)}, and the disk has ${gb(free)} free`, {
    code: 'io',
    where: folder,
    remedy: 'Free some space, choose another disk with HF_HOME, or ask for fewer files with allowPatterns',
  })
}
