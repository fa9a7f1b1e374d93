import { Random } from '@tunesmith/core'
import { between, capital, chance } from 'pretrain-tiny-medic/grammar'
import { type Condition, conditions } from 'pretrain-tiny-medic/knowledge'

/** A question about a study, in the columns of PubMedQA on the Hub. The studies are invented. */
export interface StudyRow {
  pubid: number
  question: string
  context: { contexts: string[]; labels: string[]; meshes: string[] }
  long_answer: string
  final_decision: 'yes' | 'no' | 'maybe'
}

/** The seed of the committed files. */
export const SEED = 31
export const SPLITS = { train: 560, test: 60 }

const studied = conditions.filter(({ medications }) => medications.length > 0)

interface Study {
  condition: Condition
  medicine: string
  symptom: string
  people: number
  weeks: number
  with: number
  without: number
}

function study(random: Random, decision: StudyRow['final_decision']): Study {
  const condition = random.pick(studied)
  const people = decision === 'maybe' ? between(random, 8, 24) : between(random, 60, 400)
  const without = between(random, 30, 60)
  const gain = decision === 'no' ? between(random, -2, 2) : between(random, 15, 32)
  return {
    condition,
    medicine: random.pick(condition.medications),
    symptom: random.pick(condition.symptoms),
    people,
    weeks: between(random, 4, 26),
    with: Math.max(3, without - gain),
    without,
  }
}

const RESULT = {
  yes: [
    'The difference was clear (p = 0.00N).',
    'This difference was significant (p = 0.00N).',
    'People on MEDICINE did clearly better (p = 0.00N).',
  ],
  no: [
    'There was no difference (p = 0.NN).',
    'The groups did not differ (p = 0.NN).',
    'MEDICINE made no difference (p = 0.NN).',
  ],
  maybe: [
    'Only FEW people finished the study, too few to be sure (p = 0.08).',
    'The result was not certain (p = 0.07).',
    'The trend did not reach significance in so small a group (p = 0.09).',
  ],
}

const ANSWER = {
  yes: ['MEDICINE eases SYMPTOM in CONDITION.', 'In CONDITION, MEDICINE reduces SYMPTOM.'],
  no: ['MEDICINE does not ease SYMPTOM in CONDITION.', 'In CONDITION, MEDICINE has no effect on SYMPTOM.'],
  maybe: [
    'Whether MEDICINE eases SYMPTOM in CONDITION remains open; larger studies are needed.',
    'MEDICINE may ease SYMPTOM in CONDITION, but more people must be studied.',
  ],
}

function makeRow(random: Random, pubid: number): StudyRow {
  const decision = random.pick(['yes', 'yes', 'no', 'no', 'maybe'] as const)
  const s = study(random, decision)
  const fill = (text: string) =>
    capital(
      text
        .replaceAll('MEDICINE', s.medicine)
        .replaceAll('SYMPTOM', s.symptom)
        .replaceAll('CONDITION', s.condition.name)
        .replace('FEW', String(Math.max(4, s.people - between(random, 2, 6))))
        .replace('0.00N', `0.00${between(random, 1, 9)}`)
        .replace('0.NN', `0.${between(random, 21, 94)}`),
    )
  const question = fill(
    random.pick(['does MEDICINE ease SYMPTOM in CONDITION?', 'can MEDICINE reduce SYMPTOM in people with CONDITION?']),
  )
  const methods = fill(
    random.pick([
      `we studied ${s.people} people with CONDITION. Half of them took MEDICINE for ${s.weeks} weeks.`,
      `${s.people} people with CONDITION were given MEDICINE or a dummy tablet for ${s.weeks} weeks.`,
    ]),
  )
  const numbers = fill(`with MEDICINE ${s.with}% still had SYMPTOM, without it ${s.without}%.`)
  const results = `${numbers} ${fill(random.pick(RESULT[decision]))}`
  const background = fill(`${s.condition.name} often brings SYMPTOM.`)
  const sections: [string, string][] = [
    ...(chance(random, 0.4) ? [['BACKGROUND', background] as [string, string]] : []),
    ['METHODS', methods],
    ['RESULTS', results],
  ]
  return {
    pubid,
    question,
    context: {
      contexts: sections.map(([, text]) => text),
      labels: sections.map(([label]) => label),
      meshes: [capital(s.condition.name), capital(s.medicine)],
    },
    long_answer: fill(random.pick(ANSWER[decision])),
    final_decision: decision,
  }
}

/** Train and test rows from one seed; no question and methods of the test part occur in training. */
export function makeSplits(seed: number): Record<keyof typeof SPLITS, StudyRow[]> {
  const seen = new Set<string>()
  let pubid = 90_000_000
  const make = (split: keyof typeof SPLITS): StudyRow[] => {
    const rows: StudyRow[] = []
    for (let attempt = 0; rows.length < SPLITS[split]; attempt++) {
      const row = makeRow(new Random(seed, `${split} ${attempt}`), pubid)
      const key = row.context.contexts.join(' ')
      if (seen.has(key)) continue
      seen.add(key)
      pubid++
      rows.push(row)
    }
    return rows
  }
  return { train: make('train'), test: make('test') }
}
