import { invalidData, invalidOptions } from '@tunesmith/core'
import { Dataset, type Row, type TokenizedExample } from '@tunesmith/datasets'

/** What a trainer learns from or is measured on: rows in any known format, or examples already tokenized. */
export type TrainingData = Dataset | readonly Row[] | readonly TokenizedExample[]

const has = (value: unknown, method: string) =>
  typeof value === 'object' && value !== null && typeof (value as Record<string, unknown>)[method] === 'function'

/** The same, read: a dataset of rows, or examples. */
export type TrainingRows = Dataset | readonly TokenizedExample[]

/** Refuses what has to be loaded, collected or awaited first, naming the call. */
function refuseUnloaded(value: unknown, where: string, load: (name: string) => string): void {
  if (typeof value === 'string')
    throw invalidOptions(`"${value}" is a name, and what it names is not loaded`, {
      where,
      remedy: `Pass \`${load(`'${value}'`)}\``,
    })
  if (has(value, 'then') && !has(value, 'toArray'))
    throw invalidOptions('This is a promise', { where, remedy: 'Pass what it resolves to: put `await` before it' })
}

/**
 * Arrays of rows become a dataset; datasets and tokenized examples stay what they are.
 *
 * @throws {TunesmithError} `invalid_options` for what is no data, naming what to call; `invalid_data` naming a row.
 */
export function trainingData(value: unknown, where: string): TrainingRows {
  refuseUnloaded(value, where, (name) => `await loadDataset(${name})`)
  if (has(value, 'collect'))
    throw invalidOptions('This is a stream, and training goes over its rows in a new order each epoch', {
      where,
      remedy: 'Pass `await stream.collect()`, or `await stream.take(n).collect()` for the first n rows',
    })
  if (has(value, 'toArray')) return value as Dataset
  if (!Array.isArray(value))
    throw invalidOptions('This is neither a dataset nor an array of rows', {
      where,
      remedy: "Pass `await loadDataset('rows.jsonl')`, or rows as an array of objects",
    })
  const python = value.findIndex((row) => typeof row === 'object' && row !== null && 'input_ids' in row)
  if (python >= 0 && !('inputIds' in value[python]))
    throw invalidData('The row has "input_ids", as it is called in Python', {
      where: `${where}, row ${python}`,
      remedy: 'Name the columns inputIds and labels; labels are the ids themselves, -100 for tokens without a loss',
    })
  const tokenized = value.filter((row) => typeof row === 'object' && row !== null && 'inputIds' in row).length
  for (const [index, row] of value.entries()) {
    if (typeof row !== 'object' || row === null || Array.isArray(row))
      throw invalidData('A row is an object with columns', {
        where: `${where}, row ${index}`,
        remedy: 'Pass texts as { text }, questions and answers as { prompt, completion }',
      })
    if (tokenized > 0 && !('inputIds' in row))
      throw invalidData('The row has no "inputIds", and other rows have', {
        where: `${where}, row ${index}`,
        remedy: 'Tokenize all rows or none',
      })
  }
  return tokenized > 0 ? value : Dataset.fromRows<Row>(value)
}

/** @throws {TunesmithError} `invalid_options` for a model or tokenizer that is not loaded, naming what to call. */
export function checkLoaded({ model, tokenizer }: { model: unknown; tokenizer?: unknown }): void {
  refuseUnloaded(model, 'model', (name) => `await loadModel(${name})`)
  if (!has(model, 'parameters') && !has(model, 'forward'))
    throw invalidOptions('This is no model', { where: 'model', remedy: "Pass `await loadModel('owner/name')`" })
  refuseUnloaded(tokenizer, 'tokenizer', (name) => `await Tokenizer.fromPretrained(${name})`)
}
