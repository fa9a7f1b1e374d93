import type { Random } from '@tunesmith/core'
import { type Encounter, sampleEncounter } from '../encounter'
import { capital, joinAnd, paragraph } from '../grammar'
import * as say from '../phrases'
import { readBack } from './copying'
import * as encounters from './encounters'
import { askedInProse, conditionPage, labPage, medicationPage } from './facts'

export interface Turn {
  role: 'user' | 'assistant'
  content: string
}

/** Turns in ChatML, the format of the tokenizer's chat template. */
export const chatml = (turns: Turn[]): string =>
  turns.map(({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`).join('')

const pair = (user: string, assistant: string): string =>
  chatml([
    { role: 'user', content: user },
    { role: 'assistant', content: assistant },
  ])

/**
 * Chats that teach whose turn it is, and to answer out of what was said or what is known. Answers are running prose, so
 * that the base model has no notion of the short and structured answers that a fine-tune is to teach it.
 */
export function chat(random: Random): string {
  const visit = sampleEncounter(random)
  switch (random.int(6)) {
    case 0:
    case 1:
      return topicChat(random)
    case 2: {
      const said = readBack(random, visit).split('\n')[0]!
      return pair(`${random.pick(['Repeat', 'Say again', 'Copy this'])}: ${said}`, said)
    }
    case 3:
      return recallChat(random, visit)
    default: {
      const [wish, write] = random.pick(rewritings)
      return pair(`${someNote(random, visit)}\n\n${wish}`, write(random, visit))
    }
  }
}

const someNote = (random: Random, visit: Encounter): string =>
  random.pick([encounters.clinicNote, encounters.handover, encounters.referral])(random, visit)

/** What one may want made of a note. */
const rewritings: [string, (random: Random, visit: Encounter) => string][] = [
  ['Write a letter to the patient.', encounters.patientLetter],
  ['Please write to the patient.', encounters.patientLetter],
  ['Tell it as a story.', encounters.story],
  ['Prepare the sheet for home.', encounters.dischargeSheet],
  ['Pass it on to the next shift.', encounters.handover],
  ['Refer the patient.', encounters.referral],
  ['Write the clinic note.', encounters.clinicNote],
]

/** "Write about gout." and a page about it. */
function topicChat(random: Random): string {
  const [topic, text] = random.pick([conditionPage, medicationPage, labPage])(random)
  const wish = random.pick(['Write about', 'Tell me about', 'Write a page about', 'I would like to read about'])
  return pair(`${wish} ${topic}.`, text)
}

/** A note with a question about a single detail of it, answered in a whole sentence; then another question. */
function recallChat(random: Random, visit: Encounter): string {
  const { person } = visit
  const name = say.titled(person)
  const orders = visit.prescriptions.map(say.order)
  const medicines = orders.length > 0 ? `${capital(say.he(person))} takes ${joinAnd(orders)}.` : 'No regular medicines.'
  const questions: [string, string][] = [
    [`How old is ${name}?`, `${name} is ${person.age} years old.`],
    [`What does ${name} take?`, medicines],
    [`Which diagnoses does ${name} have?`, `${name} has ${joinAnd(say.conditionNames(visit))}.`],
    ['What happens next?', paragraph(...say.planSentences(random, visit))],
    [`Why did ${name} come?`, paragraph(say.complaint(random, visit))],
    ['What did the laboratory find?', paragraph(...visit.labs.map((result) => say.labSentence(random, result)))],
  ]
  const note = encounters.clinicNote(random, visit, 'all')
  const turns = random
    .shuffle(questions)
    .slice(0, 3)
    .flatMap(([question, answer], i): Turn[] => [
      { role: 'user', content: i === 0 ? `${note}\n\n${question}` : question },
      { role: 'assistant', content: answer },
    ])
  return chatml(turns)
}

/** A short exchange between a patient and a nurse, as a play. */
export function play(random: Random): string {
  const visit = sampleEncounter(random)
  const patient = say.titled(visit.person)
  const drug = visit.prescriptions[0]
  const lines = [
    `Nurse: Good morning, ${patient}. What brings you here?`,
    `${patient}: I have had ${visit.complaint.symptom} for ${visit.complaint.duration}.`,
    `Nurse: ${capital(visit.complaint.symptom)} for ${visit.complaint.duration}. Do you have other illnesses?`,
    `${patient}: ${capital(joinAnd(say.conditionNames(visit)))}.`,
  ]
  if (drug)
    lines.push(
      `Nurse: And which medicines do you take?`,
      `${patient}: ${capital(joinAnd(visit.prescriptions.map(say.order)))}.`,
      `Nurse: I write down ${joinAnd(visit.prescriptions.map(say.order))}. ${askedInProse(random)}`,
    )
  lines.push(`Nurse: ${paragraph(...say.planSentences(random, visit, 'you'))}`)
  return lines.join('\n')
}
