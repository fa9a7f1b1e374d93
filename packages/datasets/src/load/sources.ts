import { stat } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { invalidOptions, notFound, unsupported } from '@tunesmith/core'
import { glob, isDynamicPattern } from 'tinyglobby'
import { nameInside } from '../files/bytes'
import { splitOfPath } from './splits'

export type FileFormat = 'json' | 'jsonl' | 'csv' | 'tsv' | 'parquet' | 'text'

/** A file to read: where it lies, what to call it in messages, and its format. */
export interface SourceFile {
  path: string
  name: string
  format: FileFormat
}

/** Split name to its files, in order. */
export type SplitFiles = Map<string, SourceFile[]>

const EXTENSIONS: Record<string, FileFormat> = {
  json: 'json',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  csv: 'csv',
  tsv: 'tsv',
  parquet: 'parquet',
  txt: 'text',
}

export function formatOfName(name: string): FileFormat | undefined {
  return EXTENSIONS[/\.(\w+)$/.exec(nameInside(name))?.[1]?.toLowerCase() ?? '']
}

function sourceFile(path: string, name: string, format: FileFormat | undefined): SourceFile {
  const known = format ?? formatOfName(name)
  if (known) return { path, name, format: known }
  throw unsupported('The name does not tell the format', {
    where: name,
    remedy: `Pass format: ${[...new Set(Object.values(EXTENSIONS))].map((f) => `'${f}'`).join(', ')}`,
  })
}

async function kindOfPath(path: string): Promise<'file' | 'folder' | undefined> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file'
  } catch {
    return undefined
  }
}

/** Shell order, but with numbers in names compared as numbers: part-2 before part-10. */
const byName = new Intl.Collator('en', { numeric: true, sensitivity: 'variant' }).compare

interface FoundFile {
  path: string
  /** Its path within the folder or pattern, which may name a split. */
  inside: string
  name: string
}

/**
 * Groups files by split. Of a folder in which some are named after a split, the others are no rows (a list of labels) and
 * left out, as Hugging Face datasets does; what a pattern names is all read, as `train` where its name says nothing.
 */
export function groupBySplit(
  files: FoundFile[],
  { format, where, pattern = false }: { format: FileFormat | undefined; where: string; pattern?: boolean },
): SplitFiles {
  const data = files.filter(({ name }) => {
    const known = formatOfName(name)
    if (format === undefined) return known !== undefined
    return known === format || (known === undefined && pattern)
  })
  const splits: SplitFiles = new Map()
  const named = data.filter(({ inside }) => splitOfPath(inside) !== undefined)
  const chosen = named.length > 0 && !pattern ? named : data
  for (const { path, inside, name } of chosen.sort((a, b) => byName(a.inside, b.inside))) {
    const split = splitOfPath(inside) ?? 'train'
    splits.set(split, [...(splits.get(split) ?? []), sourceFile(path, name, format)])
  }
  if (splits.size === 0)
    throw notFound(files.length === 0 ? 'No file matches' : 'There are no data files', {
      where,
      remedy: `Files named ${Object.keys(EXTENSIONS)
        .map((e) => `.${e}`)
        .join(', ')} are read, also with .gz or .zst behind`,
    })
  for (const [split, list] of splits) {
    const formats = [...new Set(list.map((file) => file.format))]
    if (formats.length > 1)
      throw invalidOptions(`The ${split} files are of several formats: ${formats.join(', ')}`, {
        where,
        remedy: `They may hold the same rows twice; choose with a pattern, or format: '${formats[0]}'`,
      })
  }
  return splits
}

/** All files that one path, folder or pattern stands for; undefined when nothing is there and it is no pattern. */
export async function filesOfSource(source: string, format: FileFormat | undefined): Promise<SplitFiles | undefined> {
  const kind = await kindOfPath(source)
  if (kind === 'file') return new Map([['train', [sourceFile(resolve(source), source, format)]]])
  if (kind !== 'folder' && !isDynamicPattern(source)) return undefined
  const cwd = kind === 'folder' ? resolve(source) : process.cwd()
  const pattern = kind === 'folder' ? '**/*' : source.replaceAll('\\', '/')
  const paths = await glob(pattern, { cwd, absolute: true, onlyFiles: true, dot: false })
  const base = kind === 'folder' ? cwd : resolve(fixedPart(pattern))
  return groupBySplit(
    paths.map((path) => ({
      path,
      inside: relative(base, path),
      name: relative(process.cwd(), path).startsWith('..') ? path : relative(process.cwd(), path),
    })),
    { format, where: source, pattern: kind !== 'folder' },
  )
}

/** The folders of a pattern before its first wildcard; they say nothing about splits. */
function fixedPart(pattern: string): string {
  const parts = pattern.split('/')
  const wild = parts.findIndex((part) => isDynamicPattern(part))
  return parts.slice(0, wild).join('/') || (pattern.startsWith('/') ? '/' : '.')
}
