import { invalidFile, invalidOptions } from '@tunesmith/core'
import { z } from 'zod'
import { quoted } from '../json-reader'

/** The options that name a repository. */
export const repoOptions = {
  /** `organisation/name`, or `name` alone for the Hub's oldest models. */
  repoId: z.string(),
  /** Default `model`. */
  repoType: z.enum(['model', 'dataset']).default('model'),
  /** Branch, tag, pull request (`refs/pr/1`) or commit. Default `main`. */
  revision: z.string().default('main'),
}

type RepoType = 'model' | 'dataset'

/** A repository at a revision, checked. */
export interface Repo {
  id: string
  type: RepoType
  revision: string
}

/** Whether text has the form of a Hub id: one name or two, with a slash between. */
export function isRepoId(text: string): boolean {
  return (
    /^(?:\w[\w.-]*\/)?\w[\w.-]*$/.test(text) &&
    /[^.-]$/.test(text) &&
    !/--|\.\.|\.git$|[.-]\//.test(text) &&
    text.split('/').every((part) => part.length <= 96)
  )
}

/** @throws {TunesmithError} `invalid_options` when the id or the revision cannot be one, or would leave the cache. */
export function checkRepo({
  repoId,
  repoType,
  revision,
}: {
  repoId: string
  repoType: RepoType
  revision: string
}): Repo {
  if (!isRepoId(repoId))
    throw invalidOptions(`${quoted(repoId)} is not a Hub id`, {
      where: 'repoId',
      remedy: 'Give an id such as "HuggingFaceTB/SmolLM2-135M"',
    })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  const impossible = /^$|^\/|\/$|\/\/|\\|:|\.\.|^\.|\/\.|[\u0000-\u0020\u007f~^?*[]/
  if (impossible.test(revision) || revision.length > 200)
    throw invalidOptions(`${quoted(revision)} is not a revision`, {
      where: 'revision',
      remedy: 'Give a branch, a tag or a commit, such as "main"',
    })
  return { id: repoId, type: repoType, revision }
}

/** `model org/name`, for messages. */
export function describeRepo({ id, type }: Repo): string {
  return `${type} ${id}`
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision)
}

/**
 * Refuses a file name from a server that could be written outside its folder, on this or another operating system.
 *
 * @throws {TunesmithError} `invalid_file`.
 */
export function checkRepoPath(path: unknown, where: string): string {
  const safe =
    typeof path === 'string' &&
    path.length <= 1024 &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    !/[\\\u0000-\u001f\u007f]/.test(path) &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && !/^[a-z]:/i.test(part))
  if (safe) return path
  throw invalidFile(`The repository names a file ${quoted(String(path))}, which would leave its folder`, {
    where,
    remedy: 'Do not use this repository; its owner made the name by mistake or to do harm',
  })
}
