import { invalidData, invalidOptions } from '@tunesmith/core'
import { type Dataset, type ExampleRow, formatPreferences, formatUnpaired } from '@tunesmith/datasets'
import { countRows, type Prepared, type TrainingRows } from '@tunesmith/sft-trainer'
import { buildExample, buildExamples, type Tokenizer } from '@tunesmith/tokenization'
import type { DPOConfig, KTOConfig } from './config'
import { type Answer, answerLabels } from './sequences'

interface Source {
  tokenizer: Tokenizer | undefined
  /** For errors. */
  trainer: string
  signal?: AbortSignal | undefined
}

type DataConfig = Pick<DPOConfig, 'maxLength' | 'truncationMode' | 'style' | 'reportTo'>

/** Above this share of pairs that say nothing, or not all, a notice becomes a warning. */
const WORTH_A_WARNING = 0.05
/** So many rows are looked at for prompts that tokenize differently. */
const ROWS_CHECKED = 256

/** @throws {TunesmithError} `invalid_options` for rows without text or a tokenizer. */
function textOf(rows: TrainingRows, { tokenizer, trainer }: Source): { dataset: Dataset; tokenizer: Tokenizer } {
  if (!('toArray' in rows))
    throw invalidOptions('These rows are tokenized, and preferences are made of text or messages', {
      where: trainer,
      remedy: 'Pass rows with prompt, chosen and rejected, or with prompt, completion and label',
    })
  if (!tokenizer) throw invalidOptions('Rows of text need a tokenizer', { where: trainer, remedy: 'Pass `tokenizer`' })
  if (rows.length === 0) throw invalidData('The dataset has no rows', { remedy: 'Check the file' })
  return { dataset: rows, tokenizer }
}

/** The ids of prompts and answers, where answers begin, and how many prompts tokenize differently with their answers. */
async function tokenize(
  tokenizer: Tokenizer,
  examples: readonly ExampleRow[],
  where: (index: number) => string | undefined,
  { reportTo }: DataConfig,
  signal?: AbortSignal,
): Promise<{ answers: Answer[]; crossed: number }> {
  const label = reportTo.includes('console') ? 'tokenizing' : undefined
  const built = await buildExamples(tokenizer, examples, { lossOn: 'completion', where, label, signal })
  const answers = built.map(({ inputIds, labels }, row): Answer => {
    const first = labels.findIndex((label) => label >= 0)
    const ids = Int32Array.from(inputIds)
    const answerTokens = first < 0 ? 0 : ids.length - first
    return { inputIds: ids, labels: answerLabels({ inputIds: ids, answerTokens }), answerTokens, row }
  })
  const crossed = examples
    .slice(0, ROWS_CHECKED)
    .filter((example) => typeof example.prompt === 'string' && buildExample(tokenizer, example).boundary === 'split')
  return { answers, crossed: crossed.length }
}

const promptTokens = ({ inputIds, answerTokens }: Answer) => inputIds.length - answerTokens

/** The answer within `maxLength` tokens. */
function cut(answer: Answer, { maxLength, truncationMode }: DataConfig): Answer {
  const { inputIds, answerTokens } = answer
  const over = inputIds.length - maxLength
  if (over <= 0) return answer
  const fromEnd = truncationMode === 'keep_end'
  const ids = fromEnd ? inputIds.slice(over) : inputIds.slice(0, maxLength)
  const left = fromEnd ? Math.min(answerTokens, maxLength) : Math.max(0, answerTokens - over)
  return { ...answer, inputIds: ids, answerTokens: left, labels: answerLabels({ inputIds: ids, answerTokens: left }) }
}

/** TRL drops rows whose prompt fills the length: their answers would be cut away. */
const fits = (answer: Answer, { maxLength, truncationMode }: DataConfig) =>
  truncationMode === 'keep_end' || promptTokens(answer) < maxLength

const plural = (n: number, what: string) => `${n.toLocaleString('en-US')} ${what}${n === 1 ? '' : 's'}`

function crossingNotice(crossed: number, rows: number): Prepared['notices'] {
  if (crossed === 0) return []
  return [
    {
      message: `the prompts of ${crossed} of the first ${Math.min(rows, ROWS_CHECKED)} rows tokenize differently when the answer follows; they keep the ids that the model is asked with (end prompts where words end)`,
      level: 'warning',
    },
  ]
}

function mustHaveRows(rows: readonly unknown[], dropped: number, { maxLength }: DataConfig): void {
  if (rows.length > 0) return
  throw invalidData('No row is left to train on', {
    where: `${plural(dropped, 'row')}, whose prompts fill ${maxLength} tokens`,
    remedy: 'Raise maxLength, or shorten the prompts',
  })
}

/** Pairs as rows of two sequences, chosen before rejected, with what was counted on the way. */
export async function preparePairs(rows: TrainingRows, source: Source, config: DPOConfig): Promise<Prepared> {
  const { dataset, tokenizer } = textOf(rows, source)
  const formatted = await formatPreferences(dataset, { style: config.style })
  const pairs = formatted.dataset.toArray()
  const where = (index: number) => formatted.dataset.where(index)
  const side = (name: 'chosen' | 'rejected') =>
    tokenize(
      tokenizer,
      pairs.map(({ chosen: _, rejected: __, ...row }, i) => ({ ...row, completion: pairs[i]![name] })),
      where,
      config,
      source.signal,
    )
  const [chosen, rejected] = [await side('chosen'), await side('rejected')]
  const whole = chosen.answers.map((answer, i): [Answer, Answer] => [answer, rejected.answers[i]!])
  const kept = whole.filter((pair) => pair.every((answer) => fits(answer, config)))
  mustHaveRows(kept, whole.length, config)
  const done = kept.map((pair) => pair.map((answer) => cut(answer, config)))
  const cutPairs = done.filter((pair, i) => pair.some((answer, side) => answer !== kept[i]![side])).length
  const equal = done.filter(([a, b]) => a!.inputIds.join() === b!.inputIds.join()).length
  if ([config.lossType].flat().includes('orpo'))
    for (const [answer] of done) answer!.labels = Int32Array.from(answer!.inputIds)
  const dropped = whole.length - kept.length
  const counted = [
    dropped > 0 && `${plural(dropped, 'pair')} left out, whose prompt fills ${config.maxLength} tokens`,
    cutPairs > 0 && `${plural(cutPairs, 'pair')} cut to ${config.maxLength} tokens`,
    equal > 0 && `${plural(equal, 'pair')} with equal sides after that`,
    formatted.emptySides > 0 && `${plural(formatted.emptySides, 'pair')} with an empty side`,
  ].filter(Boolean)
  const level = cutPairs + equal > WORTH_A_WARNING * done.length ? 'warning' : 'info'
  const notices: Prepared['notices'] = [
    ...(counted.length > 0
      ? [{ message: `of ${plural(whole.length, 'pair')}: ${counted.join('; ')}`, level } as const]
      : []),
    ...crossingNotice(chosen.crossed, pairs.length),
  ]
  return { data: await countRows(done), conversations: Array.isArray(pairs[0]!.prompt), notices }
}

/** An answer with what KTO needs besides. */
export interface LabelledAnswer extends Answer {
  /** Whether the answer is one to learn. */
  desirable: boolean
  /** The prompt with the answer to another one of its batch, from which the KL is estimated. */
  mismatched?: Answer
}

/** Labelled answers as rows of one sequence, each with a mismatched one where the loss asks for it. */
export async function prepareUnpaired(rows: TrainingRows, source: Source, config: KTOConfig): Promise<Prepared> {
  const { dataset, tokenizer } = textOf(rows, source)
  const formatted = await formatUnpaired(dataset, { style: config.style })
  const examples = formatted.dataset.toArray()
  const where = (index: number) => formatted.dataset.where(index)
  const { answers, crossed } = await tokenize(tokenizer, examples, where, config, source.signal)
  const whole = answers.map((answer, i): LabelledAnswer => ({ ...answer, desirable: examples[i]!.label }))
  // Also those that `keep_end` could cut, unlike for pairs: so it is in TRL.
  const kept = whole.filter((answer) => promptTokens(answer) < config.maxLength)
  mustHaveRows(kept, whole.length, config)
  const done = kept.map((answer) => ({ ...answer, ...cut(answer, config) }))
  const cutRows = done.filter(({ inputIds }, i) => inputIds.length < kept[i]!.inputIds.length).length
  if (config.lossType === 'kto') addMismatched(kept, done, config)
  const dropped = whole.length - kept.length
  const counted = [
    dropped > 0 && `${plural(dropped, 'row')} left out, whose prompt fills ${config.maxLength} tokens`,
    cutRows > 0 && `${plural(cutRows, 'row')} cut to ${config.maxLength} tokens`,
  ].filter(Boolean)
  const level = cutRows > WORTH_A_WARNING * done.length ? 'warning' : 'info'
  const balance = balanceWarning(done, config)
  const notices: Prepared['notices'] = [
    ...(counted.length > 0
      ? [{ message: `of ${plural(whole.length, 'row')}: ${counted.join('; ')}`, level } as const]
      : []),
    ...(balance ? [{ message: balance, level: 'warning' } as const] : []),
    ...crossingNotice(crossed, examples.length),
  ]
  const data = await countRows(done.map((answer) => [answer]))
  return { data, conversations: Array.isArray(examples[0]!.prompt), notices }
}

/**
 * Within each batch in order, every prompt gets the answer of the row before it, the first one that of the last. Batches of
 * evaluation are mismatched in those of training too, as in TRL.
 */
function addMismatched(whole: readonly LabelledAnswer[], done: LabelledAnswer[], config: KTOConfig): void {
  const size = config.perDeviceTrainBatchSize
  for (let start = 0; start < whole.length; start += size) {
    const batch = whole.slice(start, start + size)
    for (const [i, { inputIds, row, ...mine }] of batch.entries()) {
      const other = batch.at(i - 1)!
      const prompt = inputIds.slice(0, inputIds.length - mine.answerTokens)
      const ids = Int32Array.from([...prompt, ...other.inputIds.slice(promptTokens(other))])
      const { answerTokens } = other
      const answer = { inputIds: ids, answerTokens, labels: answerLabels({ inputIds: ids, answerTokens }), row }
      done[start + i]!.mismatched = cut(answer, config)
    }
  }
}

/** Where there are more answers of one kind, the paper (equation 8) wants weights that make up for it, within a third. */
function balanceWarning(answers: readonly LabelledAnswer[], config: KTOConfig): string | undefined {
  const { desirableWeight, undesirableWeight } = config
  const good = Math.max(1, answers.filter(({ desirable }) => desirable).length)
  const bad = Math.max(1, answers.length - good)
  if (good === bad) return undefined
  const forGood = (bad * undesirableWeight) / good
  const forBad = (good * desirableWeight) / bad
  const inRange = (value: number, low: number, high: number) =>
    low.toFixed(2) <= value.toFixed(2) && value <= high + 0.005
  if (inRange(desirableWeight, forGood, forGood * 1.33) || inRange(undesirableWeight, forBad / 1.33, forBad))
    return undefined
  const range = (low: number, high: number) => `${low.toFixed(2)} to ${high.toFixed(2)}`
  return `there are ${good} answers to learn and ${bad} to avoid: set desirableWeight to ${range(forGood, forGood * 1.33)}, or undesirableWeight to ${range(forBad / 1.33, forBad)}`
}
