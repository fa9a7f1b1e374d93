import type { Random } from '@tunesmith/core'
import { type Encounter, sampleEncounter } from 'pretrain-tiny-medic/encounter'
import { capital, chance, joinAnd, paragraph } from 'pretrain-tiny-medic/grammar'
import * as say from 'pretrain-tiny-medic/phrases'

type Section = 'reason' | 'medicines' | 'allergies' | 'vitals' | 'results' | 'plan'

/** A visit and the sections that were written down; what was not written, a summary cannot know. */
export interface Chart extends Encounter {
  written: Set<Section>
}

const SECTIONS: [Section, number][] = [
  ['reason', 0.9],
  ['medicines', 0.88],
  ['allergies', 0.65],
  ['vitals', 0.5],
  ['results', 0.82],
  ['plan', 0.88],
]

export function sampleChart(random: Random): Chart {
  let visit = sampleEncounter(random)
  while (visit.prescriptions.length > 3) visit = sampleEncounter(random)
  const written = new Set(SECTIONS.filter(([, share]) => chance(random, share)).map(([section]) => section))
  return { ...visit, written }
}

/** The chart as somebody wrote it down: in prose, as a form, or in haste. */
export function writeRecord(random: Random, chart: Chart): string {
  return random.pick([prose, prose, form, shorthand])(random, chart)
}

/** The written ones of these sections, in random order. */
function shuffled(random: Random, chart: Chart, sections: Partial<Record<Section, string>>): string[] {
  const present = Object.entries(sections).filter(([section]) => chart.written.has(section as Section))
  return random.shuffle(present.map(([, text]) => text))
}

const problems = (chart: Chart): string => joinAnd(say.conditionNames(chart))

function prose(random: Random, chart: Chart): string {
  const { person, occupation, setting, date } = chart
  const name = say.fullName(person)
  const opening = random.pick([
    `${name} is a ${say.aged(random, person)} with ${problems(chart)}.`,
    `${name}, a ${say.aged(random, person)}, came for a ${setting} on ${date}. ${capital(say.he(person))} is known for ${problems(chart)}.`,
    `on ${date} we saw ${name}, ${person.age}, ${occupation}. ${capital(say.he(person))} has ${problems(chart)}.`,
    `this ${say.aged(random, person)} is ${name}. The history includes ${problems(chart)}.`,
    `${setting} of ${name}, who is ${person.age} years old and lives with ${problems(chart)}.`,
  ])
  const lastly = chart.written.has('plan') ? paragraph(...say.planSentences(random, chart)) : ''
  const middle = shuffled(random, chart, {
    reason: paragraph(say.complaint(random, chart)),
    medicines: paragraph(say.takes(random, chart)),
    allergies: paragraph(say.allergyLine(random, chart)),
    vitals: paragraph(say.vitalSigns(random, chart)),
    results: paragraph(...chart.labs.map((result) => say.labSentence(random, result))),
  })
  return [capital(opening), ...middle, lastly].filter(Boolean).join(random.pick([' ', ' ', '\n', '\n\n']))
}

function form(random: Random, chart: Chart): string {
  const { person, prescriptions, allergy, vitals } = chart
  const label = (...names: string[]) => random.pick(names)
  const comma = random.pick([', ', '; ', ' / '])
  const orders = prescriptions.map(say.order).join(comma) || 'none'
  return [
    `${label('Name', 'Patient name', 'Person')}: ${say.fullName(person)}`,
    random.pick([`Age: ${person.age}\nSex: ${person.sex}`, `Age and sex: ${person.age}, ${person.sex}`]),
    ...shuffled(
      random,
      { ...chart, written: new Set([...chart.written, 'vitals']) },
      {
        // The diagnoses are always written; they take the place of the vital signs, which share a line with the date.
        vitals: `${label('Diagnoses', 'Known for', 'History')}: ${say.conditionNames(chart).join(comma)}`,
        reason: `${label('Complaint', 'Comes for', 'Main concern')}: ${chart.complaint.symptom} for ${chart.complaint.duration}`,
        medicines: `${label('Drugs', 'Current treatment', 'Takes')}: ${orders}`,
        allergies: `${label('Allergic to', 'Known allergy')}: ${allergy ?? 'nothing known'}`,
        results: `${label('Laboratory', 'Lab values', 'Tests')}: ${chart.labs.map((r) => `${r.test.name} ${say.amount(r)}`).join(comma)}`,
      },
    ),
    chart.written.has('vitals') ? `Seen: ${chart.date}, blood pressure ${vitals.systolic}/${vitals.diastolic}` : '',
    chart.written.has('plan')
      ? `${label('Decision', 'To do', 'Agreed')}: ${paragraph(...say.planSentences(random, chart))}`
      : '',
  ]
    .filter(Boolean)
    .join('\n')
}

function shorthand(random: Random, chart: Chart): string {
  const { person, prescriptions, allergy, vitals, complaint } = chart
  const parts = shuffled(random, chart, {
    reason: `${capital(complaint.symptom)} for ${complaint.duration}.`,
    medicines: prescriptions.length > 0 ? `On ${prescriptions.map(say.order).join(', ')}.` : 'No medicines.',
    allergies: allergy ? `Allergic to ${allergy}.` : 'No allergies.',
    vitals: `BP ${vitals.systolic}/${vitals.diastolic}, pulse ${vitals.pulse}.`,
    results: `${chart.labs.map((r) => capital(`${r.test.name} ${say.amount(r)}`)).join(', ')}.`,
  })
  const lead = random.pick([
    `${say.fullName(person)}, ${person.age}, ${person.sex}. History of ${problems(chart)}.`,
    `${person.age}-year-old ${person.sex}, ${say.fullName(person)}, with ${problems(chart)}.`,
  ])
  const plan = chart.written.has('plan') ? paragraph(...say.planSentences(random, chart)) : ''
  return [lead, ...parts, plan].filter(Boolean).join(' ')
}
