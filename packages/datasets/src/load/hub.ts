import { relative } from 'node:path'
import { notFound, TunesmithError } from '@tunesmith/core'
import { downloadSnapshot, listRepoFiles } from '@tunesmith/hub'
import { glob } from 'tinyglobby'
import type { ParsedLoadOptions } from './options'
import { type FileFormat, formatOfName, groupBySplit, type SplitFiles } from './sources'
import { parseSplit } from './splits'

const PREFIX = 'hf://datasets/'

/** The id when a source can name a data set on the Hub: `owner/name`, or `hf://datasets/owner/name`. */
export function hubId(source: string): string | undefined {
  const id = source.startsWith(PREFIX) ? source.slice(PREFIX.length) : source
  return /^\w[\w.-]*\/\w[\w.-]*$/.test(id) && formatOfName(id) === undefined ? id : undefined
}

interface RepoPath {
  path: string
  inside: string
  name: string
}

/** Of the files of a repository, those of one configuration; of several formats, Parquet. */
function choose(id: string, paths: string[], { config, format }: ParsedLoadOptions, folder = ''): SplitFiles {
  const ofConfig = config === undefined ? paths : paths.filter((path) => path.split('/').slice(0, -1).includes(config))
  if (ofConfig.length === 0 && paths.length > 0)
    throw notFound(`The data set has no folder for a configuration "${config}"`, {
      where: id,
      remedy: `Its files: ${paths.slice(0, 8).join(', ')}`,
    })
  const formats = new Set(ofConfig.map(formatOfName))
  const chosen: FileFormat | undefined = format ?? (formats.has('parquet') ? 'parquet' : undefined)
  const files = ofConfig.map((path): RepoPath => ({ path: `${folder}/${path}`, inside: path, name: `${id}/${path}` }))
  return groupBySplit(files, { format: chosen, where: id })
}

/** Downloads the files of a data set, only those of the split asked for, into the cache shared with Hugging Face's. */
export async function hubFiles(id: string, options: ParsedLoadOptions): Promise<SplitFiles> {
  const repo = { repoId: id, repoType: 'dataset' as const, revision: options.revision, token: options.token }
  const listed = await listRepoFiles(repo).catch((error: unknown) => {
    // Without the network what the cache has may do; the download says so otherwise.
    if (error instanceof TunesmithError && error.code === 'network') return undefined
    throw error
  })
  let wanted: string[] = []
  if (listed) {
    const splits = choose(
      id,
      listed.map(({ path }) => path),
      options,
    )
    const names = options.split === undefined ? [...splits.keys()] : parseSplit(options.split).map(({ name }) => name)
    wanted = names.flatMap((name) => splits.get(name) ?? []).map(({ path }) => path.slice(1))
  }
  const folder = await downloadSnapshot({ ...repo, allowPatterns: wanted.map(literalPattern) })
  const present = await glob('**/*', { cwd: folder, absolute: true, onlyFiles: true })
  const paths = present.map((path) => relative(folder, path).replaceAll('\\', '/'))
  return choose(id, listed ? paths.filter((path) => wanted.includes(path)) : paths, options, folder)
}

/** A pattern that matches one file name only. */
function literalPattern(path: string): string {
  return path.replace(/[*?[]/g, (character) => `[${character}]`)
}
