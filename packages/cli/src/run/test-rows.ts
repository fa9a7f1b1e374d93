import { type ExampleRow, errorAt, invalidData, messageText, partText } from '@tunesmith/core'
import { type Dataset, formatDataset } from '@tunesmith/datasets'
import { type AnswerOptions, answerPrompts, type CausalLM } from '@tunesmith/models'
import { promptAndCompletion, promptIds, type Tokenizer } from '@tunesmith/tokenization'

/** A held-out question as people read it, and the answer it should get. */
export interface TestRow {
  id: string
  prompt: string
  reference: string
  /** The row in the form that is trained on. */
  example: ExampleRow
  /** Where it came from: `file:line`, or its number. */
  where: string
}

/** A test row with its prompt as token ids. */
export interface HeldOut extends TestRow {
  promptIds: number[]
}

/** Questions and reference answers of any format of rows. @throws {TunesmithError} `invalid_data`, naming the row. */
export function testRows(dataset: Dataset): TestRow[] {
  return formatDataset(dataset)
    .dataset.toArray()
    .map((example, index) => {
      const where = dataset.where(index) ?? `test row ${index}`
      const parts = promptAndCompletion(example)
      if (!parts)
        throw invalidData('A test row needs a prompt and the answer to compare with', {
          where,
          remedy: 'Use prompt/completion rows, or messages that end with the assistant',
        })
      const { prompt, completion } = parts
      return {
        id: String(dataset.at(index).id ?? index),
        prompt: typeof prompt === 'string' ? prompt : prompt.map(messageText).join('\n\n'),
        reference: partText(completion).trim(),
        example,
        where,
      }
    })
}

/** Test rows with the prompts that a model of this tokenizer is asked: those that training on the rows would use. */
export function heldOutRows(rows: readonly TestRow[], tokenizer: Tokenizer): HeldOut[] {
  return rows.map((row) => {
    try {
      const { prompt } = promptAndCompletion(row.example)!
      return { ...row, promptIds: promptIds(tokenizer, prompt, row.example) }
    } catch (error) {
      throw errorAt(row.where, error)
    }
  })
}

/**
 * Greedy answers, in the order of the rows. A row whose prompt leaves no room for an answer gets an empty one.
 *
 * @param say gets a line for each such row.
 */
export async function answerRows(
  model: CausalLM,
  tokenizer: Tokenizer,
  rows: readonly HeldOut[],
  { label, maxNewTokens, batchSize }: Pick<AnswerOptions, 'label' | 'maxNewTokens' | 'batchSize'>,
  say: (line: string) => void,
): Promise<string[]> {
  const prompts = rows.map(({ promptIds }) => promptIds)
  const answers = (await answerPrompts(model, tokenizer, prompts, { label, maxNewTokens, batchSize }))!
  for (const [i, { finish }] of answers.entries())
    if (finish === 'skipped')
      say(
        `${rows[i]!.where}: the prompt has ${prompts[i]!.length} tokens and the model's context ${model.config.maxPositionEmbeddings}; it is not asked and counts as an empty answer`,
      )
  return answers.map(({ text }) => text)
}
