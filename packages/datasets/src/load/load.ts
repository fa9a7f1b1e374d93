import { stat } from 'node:fs/promises'
import { invalidOptions, notFound, parseOptions, TunesmithError } from '@tunesmith/core'
import type { z } from 'zod'
import { Dataset } from '../dataset/dataset'
import { fingerprintOf } from '../fingerprint'
import { collectRows, type Row } from '../rows'
import type { SkipReport } from '../skipped'
import { DataStream } from '../stream/stream'
import { hubFiles, hubId } from './hub'
import { type LoadOptions, loadOptionsSchema, type ParsedLoadOptions } from './options'
import { readFiles } from './read-files'
import { filesOfSource, type SourceFile, type SplitFiles } from './sources'
import { parseSplit, sliceSplit } from './splits'

/**
 * What to load: a file, a folder, a pattern (`data/*.jsonl`), the id of a data set on the Hugging Face Hub, a list of
 * these for one split, or lists by split (`{ train: 'a.jsonl', test: ['b.csv', 'c.csv'] }`).
 */
export type DataSource = string | readonly string[] | Readonly<Record<string, string | readonly string[]>>

async function locate(source: string, options: ParsedLoadOptions): Promise<SplitFiles> {
  const files = await filesOfSource(source, options.format)
  if (files) return files
  const id = hubId(source)
  if (id !== undefined) return hubFiles(id, options).catch((error: unknown) => Promise.reject(notOnHub(error, source)))
  throw notFound('There is no such file, folder or data set', {
    where: source,
    remedy: 'Check the path; a data set on the Hub is named owner/name',
  })
}

/** A mistyped path may look like an id, so both are named. */
function notOnHub(error: unknown, source: string): unknown {
  if (!(error instanceof TunesmithError) || source.startsWith('hf://')) return error
  const { message, code, cause } = error
  if (code !== 'not_found' && code !== 'network') return error
  return new TunesmithError(`There is no file or folder of that name, and as a data set on the Hub: ${message}`, {
    code,
    where: source,
    cause: cause ?? error,
  })
}

async function locateSplits(source: DataSource, options: ParsedLoadOptions): Promise<SplitFiles> {
  if (typeof source === 'string') return locate(source, options)
  const splits: SplitFiles = new Map()
  const lists = Array.isArray(source) ? { train: source } : (source as Record<string, string | string[]>)
  for (const [split, list] of Object.entries(lists)) {
    const files: SourceFile[] = []
    for (const item of typeof list === 'string' ? [list] : list)
      for (const part of (await locate(item, options)).values()) files.push(...part)
    splits.set(split, files)
  }
  return splits
}

/** What the files are now: reading them again later gives the same rows as long as this stays the same. */
async function fingerprintFiles(files: readonly SourceFile[], options: ParsedLoadOptions): Promise<string> {
  const versions = await Promise.all(
    files.map(async ({ path, format }) => {
      const { size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
      return [path, format, size, mtimeNs, ctimeNs]
    }),
  )
  const { schema: _, streaming: __, split: ___, token: ____, ...reading } = options
  return fingerprintOf('files', versions, reading)
}

async function readSplit(files: readonly SourceFile[], options: ParsedLoadOptions): Promise<Dataset> {
  const skipped: SkipReport = { count: 0, log: [] }
  // A schema may run any code, which a fingerprint cannot see; the rows themselves are hashed then.
  const version = options.schema ? undefined : await fingerprintFiles(files, options).catch(() => undefined)
  const rows = await collectRows(readFiles(files, options, skipped))
  return new Dataset(rows, { skipped, fingerprint: version === undefined ? undefined : () => version })
}

function streamSplit(files: readonly SourceFile[], options: ParsedLoadOptions): DataStream {
  const skipped: SkipReport = { count: 0, log: [] }
  return new DataStream(
    () => {
      skipped.count = 0
      skipped.log.length = 0
      return readFiles(files, options, skipped)
    },
    { skipped },
  )
}

function filesOfSplit(splits: SplitFiles, name: string, source: DataSource): SourceFile[] {
  const files = splits.get(name)
  if (files) return files
  throw notFound(`There is no split "${name}"`, {
    where: typeof source === 'string' ? source : undefined,
    remedy: `The splits are: ${[...splits.keys()].join(', ')}`,
  })
}

function onlySplit(splits: SplitFiles, source: DataSource): string {
  const names = [...splits.keys()]
  if (names.length === 1) return names[0]!
  throw invalidOptions(`There are several splits: ${names.join(', ')}`, {
    where: typeof source === 'string' ? source : 'loadDataset',
    remedy: `Choose one, split: '${names[0]}', or load them all with loadDatasetSplits`,
  })
}

type RowOf<Schema extends z.ZodType> = z.ZodType extends Schema ? Row : z.output<Schema>

/**
 * Loads a data set: JSON, JSON lines, CSV, TSV, Parquet and text, also with `.gz` or `.zst` behind; into memory, or as a
 * stream.
 *
 * @throws {TunesmithError} `not_found`, `invalid_file`, `invalid_data` (a row, by file and line), `invalid_options`.
 */
export function loadDataset<Schema extends z.ZodType = z.ZodType>(
  source: DataSource,
  options: LoadOptions<Schema> & { streaming: true },
): Promise<DataStream<RowOf<Schema>>>
export function loadDataset<Schema extends z.ZodType = z.ZodType>(
  source: DataSource,
  options?: LoadOptions<Schema> & { streaming?: false },
): Promise<Dataset<RowOf<Schema>>>
export async function loadDataset(source: DataSource, options: LoadOptions = {}): Promise<unknown> {
  const parsed = parseOptions(loadOptionsSchema, options, 'loadDataset')
  const splits = await locateSplits(source, parsed)
  const parts = parseSplit(parsed.split ?? onlySplit(splits, source))
  if (parsed.streaming) {
    const sliced = parts.find(({ slice }) => slice)
    if (sliced)
      throw invalidOptions('A stream cannot be sliced by rows before it is read', {
        where: 'loadDataset, split',
        remedy: `Use split: '${sliced.name}' and .skip(n).take(m)`,
      })
    return streamSplit(
      parts.flatMap(({ name }) => filesOfSplit(splits, name, source)),
      parsed,
    )
  }
  const datasets: Dataset[] = []
  for (const part of parts)
    datasets.push(sliceSplit(await readSplit(filesOfSplit(splits, part.name, source), parsed), part))
  return datasets.length === 1 ? datasets[0] : Dataset.concatenate(datasets)
}

/** Loads every split of a source, by name. */
export async function loadDatasetSplits<Schema extends z.ZodType = z.ZodType>(
  source: DataSource,
  options: Omit<LoadOptions<Schema>, 'split' | 'streaming'> = {},
): Promise<Record<string, Dataset<RowOf<Schema>>>> {
  const parsed = parseOptions(loadOptionsSchema, options, 'loadDatasetSplits')
  const loaded: Record<string, Dataset> = {}
  for (const [name, files] of await locateSplits(source, parsed)) loaded[name] = await readSplit(files, parsed)
  return loaded as Record<string, Dataset<RowOf<Schema>>>
}
