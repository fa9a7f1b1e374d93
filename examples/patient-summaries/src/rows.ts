import { Random } from '@tunesmith/core'
import { type Encounter, sampleEncounter } from 'pretrain-tiny-medic/encounter'
import { capital, chance, paragraph } from 'pretrain-tiny-medic/grammar'
import * as say from 'pretrain-tiny-medic/phrases'

/** A note, the summary a colleague wrote of it, and a number that must never reach the model. The people are invented. */
export interface NoteRow {
  id: string
  prompt: string
  completion: string
}

/** The seed of the committed files. */
export const SEED = 47
export const SPLITS = { train: 480, test: 48 }

/** What a summary consists of, in this order. */
export const SECTIONS = ['Patient', 'Reason', 'History', 'Medicines', 'Allergies', 'Plan'] as const

/** Share of notes that hold several visits pasted together, which the length filter is there for. */
const PASTED = 0.06

function visit(random: Random, chart: Encounter): string {
  const middle = random.shuffle([
    paragraph(say.complaint(random, chart)),
    paragraph(say.takes(random, chart)),
    paragraph(say.allergyLine(random, chart)),
  ])
  const results = chance(random, 0.4) ? paragraph(say.labSentence(random, chart.labs[0]!)) : ''
  return [capital(say.introduction(random, chart)), ...middle, results, paragraph(...say.planSentences(random, chart))]
    .filter(Boolean)
    .join(' ')
}

function summary({ person, complaint, prescriptions, allergy, plan, ...chart }: Encounter): string {
  const change = plan.change
  const planned =
    change === undefined
      ? []
      : change.kind === 'increase'
        ? [`${change.prescription.medication.name} to ${change.dose}`]
        : [`${change.kind} ${change.prescription.medication.name}`]
  const lines: Record<(typeof SECTIONS)[number], string> = {
    Patient: `${say.fullName(person)}, ${person.age}, ${person.sex}`,
    Reason: `${complaint.symptom} for ${complaint.duration}`,
    History: say.conditionNames({ ...chart, person, complaint, prescriptions, allergy, plan }).join('; '),
    Medicines: prescriptions.map(say.order).join('; ') || 'none',
    Allergies: allergy ?? 'none known',
    Plan: [...planned, `return in ${plan.returnAfter}`].join('; '),
  }
  return SECTIONS.map((section) => `${section}: ${lines[section]}`).join('\n')
}

function makeRow(random: Random, id: string): NoteRow {
  let chart = sampleEncounter(random)
  while (chart.prescriptions.length > 2 || chart.conditions.length > 2) chart = sampleEncounter(random)
  const visits = [visit(random, chart)]
  if (chance(random, PASTED)) for (let i = 0; i < 4; i++) visits.unshift(visit(random, sampleEncounter(random)))
  return { id, prompt: visits.join('\n\n'), completion: summary(chart) }
}

/** Train and test rows from one seed; no two notes are of the same person. */
export function makeSplits(seed: number): Record<keyof typeof SPLITS, NoteRow[]> {
  const people = new Set<string>()
  const make = (split: keyof typeof SPLITS): NoteRow[] => {
    const rows: NoteRow[] = []
    for (let attempt = 0; rows.length < SPLITS[split]; attempt++) {
      const id = `note-${split}-${String(rows.length + 1).padStart(4, '0')}`
      const row = makeRow(new Random(seed, `${split} ${attempt}`), id)
      const person = /^Patient: ([^,]+)/.exec(row.completion)![1]!
      if (people.has(person)) continue
      people.add(person)
      rows.push(row)
    }
    return rows
  }
  return { train: make('train'), test: make('test') }
}
