import type { Random } from '@tunesmith/core'
import type { Encounter, LabResult, Person, Prescription } from './encounter'
import { capital, joinAnd, paragraph, withArticle } from './grammar'

/** Noun phrases and sentences that several kinds of document share, each in several wordings. */

export const he = ({ sex }: Person): string => (sex === 'female' ? 'she' : 'he')
export const his = ({ sex }: Person): string => (sex === 'female' ? 'her' : 'his')
export const him = ({ sex }: Person): string => (sex === 'female' ? 'her' : 'him')
export const titled = ({ sex, last }: Person): string => `${sex === 'female' ? 'Ms.' : 'Mr.'} ${last}`
export const fullName = ({ first, last }: Person): string => `${first} ${last}`

export function aged(random: Random, { age, sex }: Person): string {
  const noun = sex === 'female' ? 'woman' : 'man'
  return random.pick([`${age}-year-old ${noun}`, `${age} year old ${noun}`, `${noun} of ${age}`, `${noun} aged ${age}`])
}

/** "metformin 500 mg twice daily" */
export const order = ({ medication, dose, schedule }: Prescription): string => `${medication.name} ${dose} ${schedule}`

export const withRoute = ({ medication, dose, schedule }: Prescription): string =>
  `${medication.name} ${dose} ${medication.route} ${schedule}`

export const conditionNames = ({ conditions }: Encounter): string[] => conditions.map(({ name }) => name)

/** "a potassium of 4.1 mmol/L" with its unit; a ratio has none. */
export const amount = ({ test, value }: LabResult): string => {
  if (test.unit === 'ratio') return value
  return test.unit === '%' ? `${value}%` : `${value} ${test.unit}`
}

export function introduction(random: Random, { person, conditions, occupation, setting, date }: Encounter): string {
  const names = joinAnd(conditions.map(({ name }) => name))
  const name = fullName(person)
  return random.pick([
    `${name} is a ${aged(random, person)} with ${names}.`,
    `${name}, a ${aged(random, person)}, has a history of ${names}.`,
    `this ${aged(random, person)}, ${name}, is known for ${names}.`,
    `we saw ${name}, a ${aged(random, person)} and ${occupation}, on ${date}. ${capital(he(person))} lives with ${names}.`,
    `${titled(person)} is a ${aged(random, person)} who works as ${withArticle(occupation)}. The known ${conditions.length > 1 ? 'diagnoses are' : 'diagnosis is'} ${names}.`,
    `${name}, aged ${person.age}, came for a ${setting}. ${capital(his(person))} past history includes ${names}.`,
  ])
}

export function complaint(random: Random, { person, complaint: { symptom, duration } }: Encounter): string {
  return random.pick([
    `${he(person)} reports ${symptom} for ${duration}.`,
    `${he(person)} comes because of ${symptom}, which began ${duration} ago.`,
    `${he(person)} has noticed ${symptom} for ${duration}.`,
    `the main concern today is ${symptom} over ${duration}.`,
    `${titled(person)} has had ${symptom} for ${duration}.`,
    `the reason for the visit is ${symptom} for ${duration}.`,
  ])
}

export function takes(random: Random, { person, prescriptions }: Encounter): string {
  if (prescriptions.length === 0)
    return random.pick(['no regular medicines.', `${he(person)} takes no regular medicines.`])
  const orders = prescriptions.map(random.pick([order, order, withRoute]))
  return random.pick([
    `${he(person)} takes ${joinAnd(orders)}.`,
    `current medicines are ${joinAnd(orders)}.`,
    `${titled(person)} is taking ${joinAnd(orders)}.`,
    `at home ${he(person)} uses ${joinAnd(orders)}.`,
    paragraph(...prescriptions.map((p) => `for ${p.condition.name} ${he(person)} takes ${order(p)}.`)),
    `the treatment so far: ${joinAnd(orders)}.`,
  ])
}

export function allergyLine(random: Random, { person, allergy }: Encounter): string {
  if (!allergy)
    return random.pick(['no known allergies.', 'there are no known allergies.', `${he(person)} has no allergies.`])
  return random.pick([
    `${he(person)} is allergic to ${allergy}.`,
    `allergy: ${allergy}.`,
    `${titled(person)} reports an allergy to ${allergy}.`,
    `there is a known allergy to ${allergy}.`,
  ])
}

export function vitalSigns(random: Random, { vitals: v, person }: Encounter): string {
  return random.pick([
    `blood pressure ${v.systolic}/${v.diastolic}, pulse ${v.pulse}, temperature ${v.temperature}.`,
    `on examination the blood pressure was ${v.systolic}/${v.diastolic} and the pulse ${v.pulse}.`,
    `${his(person)} pulse was ${v.pulse}, oxygen saturation ${v.oxygen}% and weight ${v.weight} kg.`,
    `we measured a blood pressure of ${v.systolic}/${v.diastolic}, a pulse of ${v.pulse} and a temperature of ${v.temperature} degrees.`,
    `vital signs: blood pressure ${v.systolic}/${v.diastolic}, pulse ${v.pulse}, oxygen ${v.oxygen}%.`,
  ])
}

export function labSentence(random: Random, result: LabResult): string {
  const { test, flag } = result
  const judged = flag === 'normal' ? random.pick(['normal', 'in the normal range']) : random.pick([flag, `too ${flag}`])
  return random.pick([
    `${test.name} was ${amount(result)}, which is ${judged}.`,
    `the ${test.name} came back at ${amount(result)}, ${judged}.`,
    `${test.name} ${amount(result)} (${flag}).`,
    `we found a ${flag} ${test.name} of ${amount(result)}.`,
    `${test.name} is ${judged} at ${amount(result)}.`,
  ])
}

/** The plan as a few sentences, the doses and tests named again; `to` says whether the patient is spoken to. */
export function planSentences(
  random: Random,
  { plan, person, prescriptions }: Encounter,
  to: 'you' | 'others' = 'others',
): string[] {
  const [subject, pronoun, object] = to === 'you' ? ['you', 'you', 'you'] : [titled(person), he(person), him(person)]
  const sentences: string[] = []
  const { change, recheck } = plan
  if (change) {
    const { medication, schedule, condition } = change.prescription
    if (change.kind === 'increase')
      sentences.push(
        random.pick([
          `we increase ${medication.name} from ${change.prescription.dose} to ${change.dose}.`,
          `${medication.name} goes up to ${change.dose} ${schedule}.`,
          `raise ${medication.name} to ${change.dose} because ${condition.name} is not yet controlled.`,
        ]),
      )
    else if (change.kind === 'start')
      sentences.push(
        random.pick([
          `we start ${medication.name} ${change.dose} ${schedule} for ${condition.name}.`,
          `begin ${medication.name} ${change.dose} ${schedule}.`,
          `${subject} will begin ${medication.name} ${change.dose} ${schedule} for ${condition.name}.`,
        ]),
      )
    else
      sentences.push(
        random.pick([
          `we stop ${medication.name}.`,
          `${medication.name} ${change.dose} is stopped because of ${random.pick(medication.effects)}.`,
          `${pronoun} can stop ${medication.name}.`,
        ]),
      )
  } else if (prescriptions.length > 0)
    sentences.push(
      random.pick([
        `continue ${joinAnd(prescriptions.map(({ medication }) => medication.name))} without change.`,
        `all medicines stay the same.`,
        `continue ${joinAnd(prescriptions.map(order))}.`,
      ]),
    )
  if (recheck)
    sentences.push(
      random.pick([
        `repeat the ${recheck.test.name} in ${recheck.after}.`,
        `${recheck.test.name} will be checked again in ${recheck.after}.`,
        `we will recheck the ${recheck.test.name} after ${recheck.after}.`,
      ]),
    )
  sentences.push(
    random.pick([
      `return in ${plan.returnAfter}.`,
      `follow-up in ${plan.returnAfter}.`,
      `the next visit is in ${plan.returnAfter}.`,
      `we will see ${object} again in ${plan.returnAfter}.`,
    ]),
  )
  return sentences
}
