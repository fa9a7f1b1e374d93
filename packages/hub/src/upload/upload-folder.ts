import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { failAs, invalidOptions, networkError, notFound, parseOptions, TunesmithError } from '@tunesmith/core'
import { z } from 'zod'
import { HubClient } from '../connection/client'
import { explainStatus } from '../connection/explain'
import { checkRepo, type Repo, repoOptions } from '../connection/repo'
import { connectionOptions, resolveConnection } from '../connection/settings'
import { filterFiles } from '../download/patterns'
import { describeFolder } from './describe-folder'
import { type ModelCardOptions, modelCard } from './model-card'

/** How far an upload is; given to `onProgress` when it changes. */
export interface UploadProgress {
  /** `preparing`: sizes are announced; `uploading`: large files; `committing`: small files and the commit itself. */
  phase: 'preparing' | 'uploading' | 'committing'
  /** In `uploading`: the file, and the share of it that is hashed or sent, 0 to 1. */
  file?: string
  share?: number
}

const schema = z.strictObject({
  ...repoOptions,
  ...connectionOptions,
  /** The folder whose files are uploaded, with those of its folders. Names that start with a dot are left out. */
  folderPath: z.string().min(1),
  /** Only files that one of these matches, as in `downloadSnapshot`. Default all. */
  allowPatterns: z.array(z.string()).optional(),
  /** No file that one of these matches. Default none. */
  ignorePatterns: z.array(z.string()).optional(),
  commitMessage: z.string().min(1).default('Upload with Tunesmith'),
  commitDescription: z.string().optional(),
  /** Open a pull request instead of changing the branch. Default false. */
  createPr: z.boolean().default(false),
  /** Whether a repository that must be made is private. Default: what the account has set, mostly public. */
  private: z.boolean().optional(),
  /**
   * What to say in the README.md that is made when the folder has none; `false` makes none. What is left out is read
   * from `adapter_config.json` and `config.json`.
   */
  card: z
    .union([z.custom<Partial<ModelCardOptions>>((value) => typeof value === 'object'), z.literal(false)])
    .default({}),
  onProgress: z
    .custom<(progress: UploadProgress) => void>((value) => typeof value === 'function', 'must be a function')
    .optional(),
})
export type UploadFolderOptions = z.input<typeof schema>

interface Operation {
  operation: 'addOrUpdate'
  path: string
  content: Blob | URL
}

export interface UploadedCommit {
  commit: string
  /** The commit's page. */
  url: string
  pullRequestUrl?: string
  /** The files that were sent. */
  files: string[]
}

/**
 * Uploads an adapter or a model to the Hub as one commit, making the repository when it is not there, and a model card
 * when the folder has none. Large files go to LFS storage first; those it has already are not sent again.
 *
 * @throws {TunesmithError} `invalid_options` without a token, `not_found` for a missing or empty folder, `network`,
 *   `aborted`. The commit is made whole or not at all.
 */
export async function uploadFolder(options: UploadFolderOptions): Promise<UploadedCommit> {
  const parsed = parseOptions(schema, options, 'uploadFolder')
  const repo = checkRepo(parsed)
  const connection = await resolveConnection(parsed)
  if (!repo.id.includes('/'))
    throw invalidOptions(`"${repo.id}" does not say whose repository it is`, {
      where: 'repoId',
      remedy: 'Give it as "your-name/model"',
    })
  if (!connection.token)
    throw invalidOptions('An upload needs a token', {
      where: 'token',
      remedy: 'Set HF_TOKEN to one with write access, from https://huggingface.co/settings/tokens',
    })
  const paths = await listFolder(parsed.folderPath)
  const files = filterFiles(
    paths.map((path) => ({ path })),
    parsed.allowPatterns,
    parsed.ignorePatterns,
  ).map(({ path }) => path)
  const operations: Operation[] = files.map((path) => ({
    operation: 'addOrUpdate',
    path,
    content: pathToFileURL(join(parsed.folderPath, path)),
  }))
  if (operations.length === 0)
    throw notFound('There is no file to upload', {
      where: parsed.folderPath,
      remedy: 'Check the folder and the patterns',
    })
  if (parsed.card !== false && repo.type === 'model' && !paths.includes('README.md')) {
    const facts = await describeFolder(parsed.folderPath, repo.id)
    const content = new Blob([modelCard({ ...facts, ...parsed.card })])
    operations.push({ operation: 'addOrUpdate', path: 'README.md', content })
  }
  const client = new HubClient(connection)
  await createRepository(client, repo, parsed.private)
  const result = await sendCommit(client, repo, operations, parsed)
  return { ...result, files: operations.map(({ path }) => path).sort() }
}

/** Paths of a folder's files, with `/`; no hidden ones, which may hold secrets, but git's attributes. */
async function listFolder(folder: string, prefix = ''): Promise<string[]> {
  const entries = await readdir(join(folder, prefix), { withFileTypes: true }).catch(failAs(folder, 'read the folder'))
  const paths: string[] = []
  for (const { name } of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (name.startsWith('.') && name !== '.gitattributes') continue
    const path = prefix + name
    // Through links, because the snapshots of the Hub's cache are made of them.
    const stats = await stat(join(folder, path)).catch(failAs(join(folder, path), 'read'))
    if (stats.isDirectory()) paths.push(...(await listFolder(folder, `${path}/`)))
    else if (stats.isFile()) paths.push(path)
  }
  return paths
}

/** Makes the repository; one that is there already is fine. */
async function createRepository(client: HubClient, repo: Repo, isPrivate: boolean | undefined): Promise<void> {
  const [organization, name] = repo.id.split('/')
  const response = await client.request(`${client.connection.endpoint}/api/repos/create`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, organization, type: repo.type, private: isPrivate }),
  })
  if (!response.ok && response.status !== 409) throw await explainUpload(response, repo, client)
  await response.body?.cancel().catch(() => undefined)
}

async function explainUpload(response: Response, repo: Repo, client: HubClient): Promise<TunesmithError> {
  if (response.status !== 401 && response.status !== 403) return explainStatus(response, repo, client.connection)
  await response.body?.cancel().catch(() => undefined)
  return networkError(`The token may not write to ${repo.id} (the Hub answered ${response.status})`, {
    where: client.connection.endpoint,
    remedy: 'Make a token with write access to it at https://huggingface.co/settings/tokens and set HF_TOKEN',
  })
}

async function sendCommit(
  client: HubClient,
  repo: Repo,
  operations: Operation[],
  { commitMessage, commitDescription, createPr, onProgress, signal }: z.output<typeof schema>,
): Promise<Omit<UploadedCommit, 'files'>> {
  const { commitIter } = await import('@huggingface/hub')
  const iterator = commitIter({
    repo: { type: repo.type, name: repo.id },
    branch: repo.revision,
    title: commitMessage,
    operations,
    hubUrl: client.connection.endpoint,
    isPullRequest: createPr,
    // The Hub takes LFS uploads as well, and they need no WebAssembly chunking of each file on this side.
    useXet: false,
    description: commitDescription,
    abortSignal: signal,
    fetch: async (...request) => {
      const response = await client.fetch(...request)
      // Storage servers explain themselves to the library; the Hub's own refusals are explained here.
      if (!response.ok && String(request[0]).startsWith(`${client.connection.endpoint}/`))
        throw await explainUpload(response, repo, client)
      return response
    },
  })
  const phases = { preuploading: 'preparing', uploadingLargeFiles: 'uploading', committing: 'committing' } as const
  let phase: UploadProgress['phase'] = 'preparing'
  try {
    for (;;) {
      const { done, value } = await iterator.next()
      if (done) {
        if (!value) throw new Error('no commit came back')
        const { commit, pullRequestUrl } = value
        return { commit: commit.oid, url: commit.url, pullRequestUrl }
      }
      if (value.event === 'phase') phase = phases[value.phase]
      onProgress?.(value.event === 'phase' ? { phase } : { phase, file: value.path, share: value.progress })
    }
  } catch (error) {
    if (error instanceof TunesmithError) throw error
    if (signal?.aborted) throw client.failure(error, client.connection.endpoint)
    throw networkError(`The upload failed: ${(error as Error).message.replace(/\?[^\s]*/g, '')}`, {
      where: repo.id,
      remedy: 'Run it again; large files that arrived are not sent again',
      cause: error,
    })
  }
}
