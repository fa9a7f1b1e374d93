import { networkError, type TunesmithError } from '@tunesmith/core'
import type { HubClient } from './client'
import { explainStatus } from './explain'
import { checkRepoPath, describeRepo, isCommit, type Repo } from './repo'

/** A file of a repository. */
export interface RepoFile {
  /** Its path in the repository, with `/`. */
  path: string
  /** Bytes; undefined when the server does not say. */
  size: number | undefined
  /** Its name in the cache: the SHA-256 of the content for large files (LFS), else the id git gives it (SHA-1). */
  etag: string
  /** The git id; for a large file that of its pointer. */
  blobId?: string
  xetHash?: string
}

export interface RepoFileInfo extends RepoFile {
  /** The commit the revision stands for. */
  commit: string | undefined
}

/** Of a listing, at up to 1000 files each: more than any repository has. */
const MOST_PAGES = 5000

const apiPath = ({ id, type }: Repo) => `/api/${type}s/${id}`

/** The address of a file's content. */
export function resolveUrl(endpoint: string, { id, type }: Repo, revision: string, path: string): string {
  const file = path.split('/').map(encodeURIComponent).join('/')
  return `${endpoint}/${type === 'dataset' ? 'datasets/' : ''}${id}/resolve/${encodeURIComponent(revision)}/${file}`
}

/** The commit a revision stands for now, and the names of its files when the server tells them. */
export async function fetchRevision(
  client: HubClient,
  repo: Repo,
  retries?: number,
): Promise<{ commit: string; siblings: string[] }> {
  const url = `${client.connection.endpoint}${apiPath(repo)}/revision/${encodeURIComponent(repo.revision)}`
  const response = await client.request(url, {}, retries)
  if (!response.ok) throw await explainStatus(response, repo, client.connection)
  const body = (await response.json().catch(() => undefined)) as
    | { sha?: unknown; siblings?: { rfilename?: unknown }[] }
    | undefined
  if (typeof body?.sha !== 'string' || !isCommit(body.sha)) throw notAHub('The answer names no commit', url)
  const siblings = Array.isArray(body.siblings)
    ? body.siblings.map(({ rfilename }) => checkRepoPath(rfilename, url))
    : []
  return { commit: body.sha, siblings }
}

/** A header's etag without quotes and weakness mark; safe as a file name. */
export function cleanEtag(value: string | null, where: string): string {
  const etag = (value ?? '').replace(/^W\//, '').replace(/^"(.*)"$/, '$1')
  if (/^[\w-][\w.-]{0,199}$/.test(etag)) return etag
  throw notAHub('The server gives the file no usable etag', where)
}

function notAHub(what: string, where: string): TunesmithError {
  return networkError(`${what}; this does not look like a Hub`, {
    where,
    remedy: 'Check HF_ENDPOINT, and whether a proxy answers in its place',
  })
}

/** Size, hash and commit of one file, without its content: a HEAD request that stops before the storage server. */
export async function fetchFileInfo(client: HubClient, repo: Repo, path: string): Promise<RepoFileInfo> {
  let url = resolveUrl(client.connection.endpoint, repo, repo.revision, path)
  for (let hop = 0; ; hop++) {
    const response = await client.request(url, {
      method: 'HEAD',
      redirect: 'manual',
      headers: { 'accept-encoding': 'identity' },
    })
    const { status, headers } = response
    const location = headers.get('location')
    const redirected = status >= 300 && status < 400 && location !== null
    // A renamed repository redirects within the Hub; a large file to its storage, with the facts in X-Linked-*.
    const next = redirected ? new URL(location, url) : undefined
    if (next && !headers.has('x-linked-etag') && next.origin === new URL(url).origin && hop < 5) {
      url = next.href
      continue
    }
    if (!response.ok && !redirected) throw await explainStatus(response, repo, client.connection, path)
    const size = headers.get('x-linked-size') ?? (redirected ? null : headers.get('content-length'))
    const commit = headers.get('x-repo-commit')
    return {
      path,
      size: size !== null && /^\d+$/.test(size) ? Number(size) : undefined,
      etag: cleanEtag(headers.get('x-linked-etag') ?? headers.get('etag'), url),
      commit: commit !== null && isCommit(commit) ? commit : undefined,
    }
  }
}

/** Every file at a commit, from the tree listing. */
export async function fetchTree(client: HubClient, repo: Repo, commit: string): Promise<RepoFile[]> {
  const { HubApiError, listFiles } = await import('@huggingface/hub')
  const where = describeRepo(repo)
  const files: RepoFile[] = []
  let pages = 0
  const list = listFiles({
    repo: { type: repo.type, name: repo.id },
    revision: commit,
    recursive: true,
    hubUrl: client.connection.endpoint,
    fetch: async (...request) => {
      if (++pages > MOST_PAGES) throw new SyntaxError('it never ends')
      const response = await client.fetch(...request)
      if (!response.ok) throw await explainStatus(response, repo, client.connection)
      return response
    },
  })
  try {
    for await (const { type, path, size, oid, lfs, xetHash } of list) {
      if (type !== 'file') continue
      files.push({
        path: checkRepoPath(path, where),
        size: lfs?.size ?? size,
        etag: cleanEtag(lfs?.oid ?? oid ?? null, where),
        blobId: oid,
        xetHash,
      })
    }
  } catch (error) {
    // The client's own TypeError: the answer is JSON of another form.
    throw error instanceof HubApiError || error instanceof SyntaxError || error instanceof TypeError
      ? networkError(`The list of files is malformed: ${error.message}`, { where, cause: error })
      : error
  }
  return files
}
