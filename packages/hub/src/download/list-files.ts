import { networkError, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { HubClient } from '../connection/client'
import { checkRepo, checkRepoPath, describeRepo, isCommit, repoOptions } from '../connection/repo'
import { fetchFileInfo, fetchRevision, fetchTree, type RepoFile, type RepoFileInfo } from '../connection/repo-files'
import { cacheFolder, connectionOptions, resolveConnection } from '../connection/settings'
import { RepoCache } from './cache-layout'

const listSchema = z.strictObject({
  ...repoOptions,
  ...connectionOptions,
  /** The cache whose listing is used offline. Default as in `downloadSnapshot`. */
  cacheDir: z.string().min(1).optional(),
})
export type ListRepoFilesOptions = z.input<typeof listSchema>

const infoSchema = z.strictObject({
  ...repoOptions,
  ...connectionOptions,
  /** The file's path in the repository. */
  path: z.string(),
})
export type RepoFileInfoOptions = z.input<typeof infoSchema>

/**
 * Lists the files of a repository on the Hub; offline, those it had when it was last downloaded.
 *
 * @throws {TunesmithError} `not_found` for an unknown id or revision, `network`.
 */
export async function listRepoFiles(options: ListRepoFilesOptions): Promise<RepoFile[]> {
  const parsed = parseOptions(listSchema, options, 'listRepoFiles')
  const repo = checkRepo(parsed)
  const client = new HubClient(await resolveConnection(parsed))
  if (client.connection.offline) {
    const cache = new RepoCache(cacheFolder(parsed.cacheDir), repo)
    const commit = await cache.readRef(repo.revision)
    const tree = commit === undefined ? undefined : await cache.readTree(commit)
    if (tree) return tree
    throw networkError(
      `The network is switched off, and the cache does not know the files of the ${describeRepo(repo)}`,
      { where: cache.folder, remedy: 'Run it once with the network (unset HF_HUB_OFFLINE)' },
    )
  }
  const commit = isCommit(repo.revision) ? repo.revision : (await fetchRevision(client, repo)).commit
  return fetchTree(client, repo, commit)
}

/**
 * Size, hash and commit of one file on the Hub, without downloading it.
 *
 * @throws {TunesmithError} `not_found` for an unknown id, revision or path, `network`.
 */
export async function repoFileInfo(options: RepoFileInfoOptions): Promise<RepoFileInfo> {
  const parsed = parseOptions(infoSchema, options, 'repoFileInfo')
  const repo = checkRepo(parsed)
  const client = new HubClient(await resolveConnection(parsed))
  return fetchFileInfo(client, repo, checkRepoPath(parsed.path, 'path'))
}
