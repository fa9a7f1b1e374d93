import { createProgress, TunesmithError } from '@tunesmith/core'
import { type Dataset, detectFormat, type ExampleRow, type Message, toExampleRow } from '@tunesmith/datasets'
import { type CausalLM, endTokens, streamTokens } from '@tunesmith/models'
import type { Tokenizer } from '@tunesmith/tokenization'

/** A held-out question as people read it, and the answer it should get. */
export interface TestRow {
  id: string
  prompt: string
  reference: string
  /** The question in the form the row has it. */
  source: string | Message[]
}

/** A test row with its prompt as token ids. */
export interface HeldOut extends TestRow {
  promptIds: number[]
}

const textOf = (part: string | Message[]) =>
  typeof part === 'string' ? part : part.map(({ content }) => String(content)).join('\n\n')

function split(row: ExampleRow, where: string): { prompt: string | Message[]; completion: string | Message[] } {
  if ('prompt' in row && 'completion' in row)
    return row as { prompt: string | Message[]; completion: string | Message[] }
  const messages = (row as { messages?: Message[] }).messages
  if (messages?.at(-1)?.role === 'assistant') return { prompt: messages.slice(0, -1), completion: messages.slice(-1) }
  throw new TunesmithError('A test row needs a prompt and the answer to compare with', {
    code: 'invalid_data',
    where,
    remedy: 'Use prompt/completion rows, or messages that end with the assistant',
  })
}

/** Questions and reference answers of any format of rows. */
export function testRows(dataset: Dataset): TestRow[] {
  const format = detectFormat(dataset, { where: dataset.where(0) })
  return dataset.toArray().map((row, index) => {
    const where = dataset.where(index) ?? `test row ${index}`
    const { prompt, completion } = split(toExampleRow(row, format, { where }), where)
    return { id: String(row.id ?? index), prompt: textOf(prompt), reference: textOf(completion).trim(), source: prompt }
  })
}

/** Turns test rows into prompts of token ids, through the chat template where they are conversations. */
export function heldOutRows(dataset: Dataset, tokenizer: Tokenizer): HeldOut[] {
  return testRows(dataset).map((row) => {
    const chat = typeof row.source !== 'string'
    const text = chat ? tokenizer.applyChatTemplate(row.source as never, { addGenerationPrompt: true }) : row.prompt
    // A rendered chat already has its beginning-of-sequence token.
    return { ...row, promptIds: [...tokenizer.encode(text, { addSpecialTokens: !chat }).ids] }
  })
}

export interface AnswerOptions {
  label: string
  maxNewTokens: number
  batchSize: number
}

/** Greedy answers, in the order of the rows. */
export async function answerAll(
  model: CausalLM,
  tokenizer: Tokenizer,
  rows: readonly HeldOut[],
  { label, maxNewTokens, batchSize }: AnswerOptions,
): Promise<string[]> {
  const stopTokenIds = endTokens(model, tokenizer)
  const answers: string[] = []
  const progress = createProgress({ label, total: rows.length })
  for (let i = 0; i < rows.length; i += batchSize) {
    const batch = rows.slice(i, i + batchSize)
    const outputs: number[][] = batch.map(() => [])
    let [finished, tokens] = [0, 0]
    const start = performance.now()
    const prompts = batch.map(({ promptIds }) => promptIds)
    for await (const { sequence, token, finish } of streamTokens(model, prompts, {
      maxNewTokens,
      stopTokenIds,
      // Whatever generation_config.json says: two models are compared by their best guesses.
      doSample: false,
    })) {
      if (finish !== 'stop') outputs[sequence]!.push(token)
      if (finish) finished++
      tokens++
      progress.update(i + finished, `${Math.round(tokens / ((performance.now() - start) / 1000))} tok/s`)
    }
    for (const ids of outputs) answers.push(tokenizer.decode(ids, { skipSpecialTokens: true }).trim())
  }
  progress.finish()
  return answers
}
