import type { Random } from '@tunesmith/core'
import { type Encounter, sampleEncounter } from '../encounter'
import { capital, joinAnd, paragraph } from '../grammar'
import * as say from '../phrases'
import { readBack } from './copying'
import * as encounters from './encounters'
import { askedInProse, conditionPage, digest, medicationPage } from './facts'

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
 * Chats that teach whose turn it is and to look back at what was said. Answers are running prose, so that the base
 * model has no notion of the short and structured answers that a fine-tune is to teach it.
 */
export function chat(random: Random): string {
  const visit = sampleEncounter(random)
  const { person } = visit
  const note = random.pick([encounters.clinicNote, encounters.handover, encounters.referral])(random, visit)
  switch (random.int(7)) {
    case 0:
      return pair(
        `${random.pick(['Write a page about health.', 'Tell me something about medicine.', 'Write a text for the newsletter.'])}`,
        random.pick([conditionPage, medicationPage, digest])(random),
      )
    case 1:
      return pair(
        random.pick(['Write a clinic note.', 'Make up a visit and note it down.']),
        encounters.clinicNote(random, visit),
      )
    case 2:
      return pair(
        `${note}\n\n${random.pick(['Write a letter to the patient.', 'Please write to the patient.'])}`,
        encounters.patientLetter(random, visit),
      )
    case 3:
      return pair(
        `${note}\n\n${random.pick(['Tell it as a story.', 'Write the story of this visit.'])}`,
        encounters.story(random, visit),
      )
    case 4:
      return pair(
        `${note}\n\n${random.pick(['Prepare the sheet for home.', 'What should go home with the patient?'])}`,
        encounters.dischargeSheet(random, visit),
      )
    case 5: {
      const said = readBack(random, visit).split('\n')[0]!
      return pair(`${random.pick(['Repeat', 'Say again', 'Copy this'])}: ${said}`, said)
    }
    default:
      return chatml(recallTurns(random, visit, note, person))
  }
}

/** A note, then questions about single details of it, answered in whole sentences. */
function recallTurns(random: Random, visit: Encounter, note: string, person: Encounter['person']): Turn[] {
  const name = say.titled(person)
  const orders = visit.prescriptions.map(say.order)
  const questions: [string, string][] = [
    [`How old is ${name}?`, `${name} is ${person.age} years old.`],
    [
      `What does ${name} take?`,
      orders.length > 0 ? `${capital(say.he(person))} takes ${joinAnd(orders)}.` : 'No regular medicines.',
    ],
    [`Which diagnoses does ${name} have?`, `The diagnoses are ${joinAnd(say.conditionNames(visit))}.`],
    [`What happens next?`, paragraph(...say.planSentences(random, visit))],
    [`Why did ${name} come?`, paragraph(say.complaint(random, visit))],
  ]
  const turns: Turn[] = [
    { role: 'user', content: `Read this note.\n\n${note}` },
    { role: 'assistant', content: random.pick(['I have read it.', `I have read the note about ${name}.`]) },
  ]
  for (const [question, answer] of random.shuffle(questions).slice(0, 2))
    turns.push({ role: 'user', content: question }, { role: 'assistant', content: answer })
  return turns
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
