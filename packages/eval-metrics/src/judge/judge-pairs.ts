import { inParallel, isTunesmithError, networkError, parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { type EvalRow, rowSchema, twoSystems } from '../report/types'
import { resampleSchema } from '../significance/bootstrap'
import { chatClient, endpointShape, isHopeless } from './endpoint'
import { journalWriter, readJournal, type Vote, voteKey } from './journal'
import { type Preference, pointsOf, summarizePreferences } from './preference'
import { DEFAULT_CRITERIA, judgePrompt, readVerdict } from './prompt'

const schema = z.strictObject({
  rows: z.array(rowSchema).min(1),
  /** Base and tuned; default the first row's first two. */
  systems: z.tuple([z.string(), z.string()]).optional(),
  ...endpointShape,
  /** What to judge by; replaces the default advice. */
  criteria: z.string().default(DEFAULT_CRITERIA),
  /** Votes per row and order. More than one needs a temperature above 0 to differ. Default 1. */
  votes: z.int().min(1).default(1),
  /** Ask twice with the answers in either order, which cancels a preference for one position. Default true. */
  swap: z.boolean().default(true),
  /** Default 0 for one vote, 0.7 for several. */
  temperature: z.number().min(0).optional(),
  /** Requests under way at the same time. Default 4. */
  concurrency: z.int().min(1).default(4),
  /** Price of a million tokens, in any currency, for the cost in the result. */
  price: z.strictObject({ prompt: z.number().min(0), completion: z.number().min(0) }).optional(),
  /** A file of votes: a run that was stopped goes on from it and pays for nothing twice. */
  journal: z.string().optional(),
  /** Called after every vote. */
  onProgress: z.custom<(done: number, total: number) => void>((value) => typeof value === 'function').optional(),
  ...resampleSchema.pick({ samples: true, seed: true }).shape,
})
export type JudgeOptions = z.input<typeof schema>

export interface JudgeResult extends Preference {
  votes: Vote[]
  /** Requests that failed for good, and replies without a verdict. Their rows count with the votes they have. */
  failures: { id: string; message: string }[]
  /** Of rows asked in both orders, the share where the same position won both times: the judge's position bias. */
  positionBias: number | null
  /** This run's and earlier runs' tokens, and what they cost when a price is given. */
  usage: { promptTokens: number; completionTokens: number; cost: number | null }
}

interface Question {
  key: string
  id: string
  row: EvalRow
  swapped: boolean
  number: number
}

/** Share of rows whose votes favour one position whichever system stood there. */
function positionBiasOf(votes: readonly Vote[], systems: [string, string]): number | null {
  const byPair = new Map<string, { plain: (string | null)[]; swapped: (string | null)[] }>()
  for (const { id, swapped, choice } of votes) {
    const pair = byPair.get(id) ?? { plain: [], swapped: [] }
    pair[swapped ? 'swapped' : 'plain'].push(choice)
    byPair.set(id, pair)
  }
  const both = [...byPair.values()].filter(({ plain, swapped }) => plain.length > 0 && swapped.length > 0)
  if (both.length === 0) return null
  const biased = both.filter(({ plain, swapped }) => pointsOf(plain, systems) * pointsOf(swapped, systems) < 0)
  return biased.length / both.length
}

/**
 * Lets a language model compare two systems' answers, pair by pair, through any OpenAI-compatible endpoint.
 *
 * Each row is asked in both orders, so a judge that always likes the first answer ends in ties. Failed requests are tried
 * again and then reported, never counted as a vote.
 *
 * @throws {TunesmithError} `network` when the endpoint refuses key, model or address; `aborted`; `invalid_data` when a row
 *   lacks an output, ids repeat, or no vote came through at all.
 */
export async function judgePairs(options: JudgeOptions): Promise<JudgeResult> {
  const parsed = parseOptions(schema, options, 'judgePairs')
  const { rows, votes: perOrder, criteria, model, journal, onProgress } = parsed
  const systems = twoSystems(parsed, 'judgePairs')
  const temperature = parsed.temperature ?? (perOrder > 1 ? 0.7 : 0)

  const questions: Question[] = rows.flatMap((row) => {
    const id = String(row.id)
    const orders = parsed.swap ? [false, true] : [false]
    return orders.flatMap((swapped) =>
      Array.from({ length: perOrder }, (_, number) => {
        const texts = [row.prompt, row.reference, ...systems.map((system) => row.outputs[system])]
        const key = voteKey([model, criteria, temperature, systems, id, texts, swapped, number])
        return { key, id, row, swapped, number }
      }),
    )
  })

  const known = await readJournal(journal)
  const write = journalWriter(journal)
  const ask = chatClient({ ...parsed, temperature })
  const cast = new Map<string, Vote>()
  const failures: JudgeResult['failures'] = []
  const waiting = questions.filter(({ key }) => {
    const vote = known.get(key)
    if (vote) cast.set(key, vote)
    return !vote
  })
  let done = questions.length - waiting.length
  await inParallel(waiting, parsed.concurrency, async ({ key, id, row, swapped, number }) => {
    const [a, b] = swapped ? [systems[1], systems[0]] : systems
    try {
      const reply = await ask(judgePrompt(row, row.outputs[a], row.outputs[b], criteria), number)
      const verdict = readVerdict(reply.text)
      const choice = verdict === null || verdict === 'tie' ? verdict : verdict === 'A' ? a : b
      const { promptTokens, completionTokens } = reply
      const vote: Vote = { key, id, choice, swapped, reply: reply.text, promptTokens, completionTokens }
      if (choice === null) failures.push({ id, message: `no verdict in the reply: ${reply.text.slice(-120)}` })
      cast.set(key, vote)
      await write(vote)
    } catch (error) {
      if (isHopeless(error) || !isTunesmithError(error) || error.code === 'io') throw error
      failures.push({ id, message: error.message })
    }
    onProgress?.(++done, questions.length)
  })

  const replies = questions.flatMap(({ key }) => cast.get(key) ?? [])
  const votes = replies.filter(({ choice }) => choice !== null)
  const choices = new Map<string, string[]>()
  for (const { id, choice } of votes) if (choice !== null) choices.set(id, [...(choices.get(id) ?? []), choice])
  if (choices.size === 0) {
    throw networkError(`No vote came through; the first failure: ${failures[0]?.message}`, {
      where: 'judgePairs',
      remedy: 'Try the endpoint and the model with a single request',
    })
  }
  const preference = summarizePreferences(systems, choices, parsed)
  const promptTokens = replies.reduce((sum, vote) => sum + vote.promptTokens, 0)
  const completionTokens = replies.reduce((sum, vote) => sum + vote.completionTokens, 0)
  const { price } = parsed
  return {
    ...preference,
    votes,
    failures,
    positionBias: positionBiasOf(votes, systems),
    usage: {
      promptTokens,
      completionTokens,
      cost: price ? (promptTokens * price.prompt + completionTokens * price.completion) / 1e6 : null,
    },
  }
}
