import { Random } from '@tunesmith/core'
import { fullName } from 'pretrain-tiny-medic/phrases'
import { sampleChart, writeRecord } from './chart'
import { askAbout, type Topic, topics } from './questions'
import { summarize } from './summary'

/** Characters of a row; 940 of them are at most 320 tokens. */
const LONGEST = 940

export interface Row {
  id: string
  /** Whom the record or the question is about; no patient is in two splits. */
  patient: string
  task: 'summary' | 'question'
  prompt: [{ role: 'user'; content: string }]
  completion: [{ role: 'assistant'; content: string }]
}

/** The seed of the committed files. */
export const SEED = 7

export type SplitName = 'train' | 'validation' | 'test'

export const SPLITS: Record<SplitName, { summaries: number; questions: number }> = {
  train: { summaries: 1200, questions: 480 },
  validation: { summaries: 56, questions: 24 },
  test: { summaries: 56, questions: 24 },
}

const INSTRUCTIONS = [
  'Summarize this record.',
  'Please summarize this patient record.',
  'Summarize the record below.',
  'Give me the key facts of this record.',
  'Write a structured summary of this record.',
]

/** The rows as JSON Lines, one file's content. */
export const toJsonLines = (rows: Row[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')

/** Every split, from one seed. The topics of the questions are dealt out too: held-out questions are new ones. */
export function makeSplits(seed: number): Record<SplitName, Row[]> {
  const dealt = new Random(seed, 'topics').shuffle([...topics])
  const heldOut = Math.round(topics.length * 0.08)
  const topicsOf: Record<SplitName, Topic[]> = {
    validation: dealt.slice(0, heldOut),
    test: dealt.slice(heldOut, 2 * heldOut),
    train: dealt.slice(2 * heldOut),
  }
  const people = new Set<string>()
  const prompts = new Set<string>()

  const make = (split: SplitName): Row[] => {
    const { summaries, questions } = SPLITS[split]
    const tasks: Row['task'][] = [...Array(summaries).fill('summary'), ...Array(questions).fill('question')]
    const order = new Random(seed, `${split} order`).shuffle(tasks)
    const rows: Row[] = []
    for (let attempt = 0; rows.length < order.length; attempt++) {
      const random = new Random(seed, `${split} ${attempt}`)
      const task = order[rows.length]!
      const { name, user, assistant } =
        task === 'summary' ? summaryExample(random) : questionExample(random, topicsOf[split])
      if (people.has(name) || prompts.has(user) || user.length + assistant.length > LONGEST) continue
      people.add(name)
      prompts.add(user)
      rows.push({
        id: `${split}-${String(rows.length + 1).padStart(4, '0')}`,
        patient: `P${String(people.size).padStart(5, '0')}`,
        task,
        prompt: [{ role: 'user', content: user }],
        completion: [{ role: 'assistant', content: assistant }],
      })
    }
    return rows
  }
  return { train: make('train'), validation: make('validation'), test: make('test') }
}

interface Example {
  name: string
  user: string
  assistant: string
}

function summaryExample(random: Random): Example {
  const chart = sampleChart(random)
  const record = writeRecord(random, chart)
  const instruction = random.pick(INSTRUCTIONS)
  const user = random.pick([
    `${instruction}\n\n${record}`,
    `${instruction}\n\n${record}`,
    `${record}\n\n${instruction}`,
  ])
  return { name: fullName(chart.person), user, assistant: summarize(chart) }
}

function questionExample(random: Random, from: Topic[]): Example {
  const { name, question, answer } = askAbout(random, random.pick(from))
  return { name, user: question, assistant: answer }
}
