import { invalidOptions, plainText } from '@tunesmith/core'
import { type Dataset, formatDataset, formatPreferences, formatUnpaired, loadDataset } from '@tunesmith/datasets'
import { type FineTuneConfig, isHubDataset, type RowsSource } from './config'

/** The rows of a config, those held out of the training rows among them. */
export interface ConfigRows {
  train: Dataset
  validation: Dataset | undefined
  test: Dataset | undefined
}

type Part = keyof ConfigRows

/** The file, folder, pattern or Hub id of a source. */
export const pathOf = (source: RowsSource): string => (typeof source === 'string' ? source : source.path)

/** The rows of a source; as examples already where the config says how they are to be understood. */
async function load(
  source: RowsSource,
  part: Part,
  { method, dataset: { columns, preference, onError } }: Pick<FineTuneConfig, 'dataset' | 'method'>,
): Promise<Dataset> {
  const { path, ...options } = typeof source === 'string' ? { path: source } : source
  const read = await loadDataset(path, { ...(isHubDataset(path) && { split: part }), ...options, onError })
  if (columns === undefined && preference === undefined && onError === 'error') return read
  if (preference !== undefined && method !== 'sft')
    throw invalidOptions(`The method "${method}" learns from both sides of a preference, and one is asked for`, {
      where: 'dataset.preference',
      remedy: 'Leave it out, or set method to sft',
    })
  const { dataset } = await formatted(read, method, { columns, preference, onError })
  const { count, log } = dataset.skipped
  if (count > 0) console.error(plainText(`dataset.${part}: ${count} rows left out; first: ${log[0]!.message}`))
  return dataset as Dataset<never>
}

type Reading = Pick<FineTuneConfig['dataset'], 'columns' | 'preference' | 'onError'>

function formatted(read: Dataset, method: FineTuneConfig['method'], { preference, ...reading }: Reading) {
  if (method === 'dpo') return formatPreferences(read, reading)
  if (method === 'kto') return formatUnpaired(read, reading)
  return formatDataset(read, { ...reading, preference })
}

/** @throws {TunesmithError} `invalid_options` when nothing would be left to train on; what `loadDataset` throws. */
export async function loadConfigRows(config: Pick<FineTuneConfig, 'dataset' | 'method'>): Promise<ConfigRows> {
  const { dataset } = config
  const { validationSize, testSize, splitSeed: seed } = dataset
  let train = await load(dataset.train, 'train', config)
  const held = async (part: 'validation' | 'test', size: number | undefined): Promise<Dataset | undefined> => {
    const source = dataset[part]
    if (source !== undefined) return load(source, part, config)
    if (size === undefined) return undefined
    const rows = size < 1 ? Math.round(size * train.length) : size
    if (rows < 1 || rows >= train.length)
      throw invalidOptions(`${rows} of ${train.length} rows cannot be held out`, {
        where: `dataset.${part}Size`,
        remedy: 'Leave at least one row on each side',
      })
    const parts = train.trainTestSplit({ testSize: rows, seed })
    train = parts.train
    return parts.test
  }
  // One after the other: what is held out for the test is not for the validation.
  const test = await held('test', testSize)
  const validation = await held('validation', validationSize)
  return { train, validation, test }
}
