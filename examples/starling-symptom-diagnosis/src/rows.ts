import { Random } from '@tunesmith/core'
import { duration } from 'pretrain-tiny-medic/encounter'
import { between, chance } from 'pretrain-tiny-medic/grammar'
import { conditions, medications } from 'pretrain-tiny-medic/knowledge'

/** One instruction in the layout of MedTuned: what to do, a sentence as tokens, and the labels or mentions wanted. */
export interface InstructionRow {
  instruction: string
  input: string
  output: string
}

export type Task = 'disease' | 'chemical' | 'both'

/** The seed of the committed files. */
export const SEED = 11
export const SPLITS = { train: 640, test: 60 }

interface Token {
  text: string
  type?: 'Disease' | 'Chemical'
  first?: boolean
}

const words = (text: string): Token[] => text.split(' ').map((word) => ({ text: word }))
const entity = (type: Token['type'], name: string): Token[] =>
  name.split(' ').map((text, i) => ({ text, type, first: i === 0 }))

/** Fills a pattern: `{d}` a disease, `{c}` a medicine, `{s}` a symptom, `{t}` a length of time, `{n}` a dose in mg. */
function fill(random: Random, pattern: string): Token[] {
  const used = new Set<string>()
  const fresh = (names: readonly string[]) => {
    let name = random.pick(names)
    while (used.has(name)) name = random.pick(names)
    used.add(name)
    return name
  }
  return pattern.split(' ').flatMap((part) => {
    if (part === '{d}') return entity('Disease', fresh(conditions.map(({ name }) => name)))
    if (part === '{c}') return entity('Chemical', fresh(medications.map(({ name }) => name)))
    if (part === '{s}') return words(random.pick(random.pick(conditions).symptoms))
    if (part === '{t}') return words(duration(random))
    if (part === '{n}') return words(`${5 * between(random, 1, 80)} mg`)
    return words(part)
  })
}

const PATTERNS = [
  '{c} was started for {d} .',
  '{c} was stopped because of {s} .',
  'He takes {c} for {d} .',
  'She has had {d} for {t} and takes {c} {n} .',
  'No {d} was found .',
  'The patient with {d} reports {s} .',
  '{d} improved with {c} but not with {c} .',
  'We raised {c} to {n} because {d} was not controlled .',
  'There is no family history of {d} .',
  'He is known for {d} and {d} .',
  'After {t} of {c} the patient was free of {s} .',
  'She came with {s} for {t} .',
  'Treatment of {d} began with {c} {n} .',
  '{c} and {c} were given together .',
  'He has never taken {c} .',
]

const INSTRUCTIONS: Record<Task, string[]> = {
  disease: [
    'Tag every token for diseases: B-Disease begins a name, I-Disease goes on with it, O is all else. One line per token, `token : TAG`.',
    'Which tokens name a disease? Use B-Disease, I-Disease and O, one `token : TAG` line each.',
  ],
  chemical: [
    'Tag every token for medicines: B-Chemical begins a name, I-Chemical goes on with it, O is all else. One line per token, `token : TAG`.',
    'Which tokens name a medicine? Use B-Chemical, I-Chemical and O, one `token : TAG` line each.',
  ],
  both: [
    'List what the text names in two lines, `Chemical: ...` and `Disease: ...`, with ` ; ` between names and `none` for nothing.',
    'Write the medicines and the diseases of the text as `Chemical: ...` and `Disease: ...`, ` ; ` between names, or `none`.',
  ],
}

const TAGGED: Record<Exclude<Task, 'both'>, Token['type']> = { disease: 'Disease', chemical: 'Chemical' }

function output(task: Task, tokens: readonly Token[]): string {
  if (task === 'both') {
    const names = (type: Token['type']) => {
      const found: string[] = []
      for (const token of tokens) {
        if (token.type !== type) continue
        if (token.first) found.push(token.text)
        else found[found.length - 1] += ` ${token.text}`
      }
      return found.join(' ; ') || 'none'
    }
    return `Chemical: ${names('Chemical')}\nDisease: ${names('Disease')}`
  }
  const wanted = TAGGED[task]
  return tokens
    .map(({ text, type, first }) => `${text} : ${type === wanted ? `${first ? 'B' : 'I'}-${type}` : 'O'}`)
    .join('\n')
}

function makeRow(random: Random): InstructionRow {
  const task = random.pick(['both', 'both', 'both', 'disease', 'chemical'] as const)
  const tokens = fill(random, random.pick(PATTERNS))
  if (task === 'both' && chance(random, 0.4)) tokens.push(...fill(random, random.pick(PATTERNS)))
  return {
    instruction: random.pick(INSTRUCTIONS[task]),
    input: tokens.map(({ text }) => text).join(' '),
    output: output(task, tokens),
  }
}

/** Train and test rows from one seed; no sentence of the test part occurs in training. */
export function makeSplits(seed: number): Record<keyof typeof SPLITS, InstructionRow[]> {
  const seen = new Set<string>()
  const make = (split: keyof typeof SPLITS): InstructionRow[] => {
    const rows: InstructionRow[] = []
    for (let attempt = 0; rows.length < SPLITS[split]; attempt++) {
      const row = makeRow(new Random(seed, `${split} ${attempt}`))
      if (seen.has(row.input)) continue
      seen.add(row.input)
      rows.push(row)
    }
    return rows
  }
  return { train: make('train'), test: make('test') }
}
