import type { Random } from '@tunesmith/core'
import type { Encounter } from '../encounter'
import { bullets, capital, chance, document, joinAnd, paragraph, sample, withArticle } from '../grammar'
import { procedures, specialties } from '../knowledge'
import * as say from '../phrases'

/** Documents about one visit. Each repeats names, doses and values, which is what teaches a model to copy them. */

/** A doctor's note: prose paragraphs, sometimes under headings, in varying order, ending in a recap. */
export function clinicNote(random: Random, visit: Encounter, sections: 'some' | 'all' = 'some'): string {
  const middle = [
    ['Medicines', paragraph(say.takes(random, visit))],
    ['Allergies', paragraph(say.allergyLine(random, visit))],
    ['Examination', paragraph(say.vitalSigns(random, visit))],
    ['Results', paragraph(...visit.labs.map((result) => say.labSentence(random, result)))],
  ] as const
  const shown = sample(random, middle, sections === 'all' ? middle.length : 3 + random.int(2))
  const first = visit.conditions[0]!
  const assessment = paragraph(
    random.pick([
      `in summary, ${say.fullName(visit.person)} has ${joinAnd(say.conditionNames(visit))}.`,
      `this ${visit.person.age}-year-old has ${joinAnd(say.conditionNames(visit))}.`,
      `${visit.complaint.symptom} fits with ${first.name}.`,
    ]),
    ...say.planSentences(random, visit),
  )
  const headings = chance(random, 0.5)
  const opening = paragraph(say.introduction(random, visit), say.complaint(random, visit))
  const part = (name: string, text: string) => (headings ? `${name}: ${text}` : text)
  return document(
    random.pick([`Clinic note, ${visit.date}.`, `Note of ${visit.date}, record ${visit.recordNumber}.`, '']),
    opening,
    ...shown.map(([name, text]) => part(name, text)),
    part(random.pick(['Assessment and plan', 'Assessment', 'Impression']), assessment),
    random.pick(['', visit.clinician, `Signed by ${visit.clinician}.`]),
  )
}

/** What one colleague tells the next. */
export function handover(random: Random, visit: Encounter): string {
  const { person } = visit
  const orders = visit.prescriptions.map(say.order)
  return paragraph(
    random.pick(['to the evening team:', 'handover:', 'for the night shift:', 'message for the ward:']),
    `${say.fullName(person)}, ${person.age}, ${joinAnd(say.conditionNames(visit))}.`,
    say.complaint(random, visit),
    orders.length > 0 ? `${say.he(person)} is on ${joinAnd(sample(random, orders, orders.length))}.` : '',
    visit.allergy ? `mind the allergy to ${visit.allergy}.` : '',
    ...sample(random, visit.labs, 2).map((result) => say.labSentence(random, result)),
    ...say.planSentences(random, visit),
  )
}

/** A letter to the patient in plain words. */
export function patientLetter(random: Random, visit: Encounter): string {
  const { person, plan } = visit
  const main = visit.conditions[0]!
  const changed = plan.change?.kind === 'stop' ? undefined : plan.change?.prescription.medication
  const results = visit.labs.map((result) => {
    const meaning =
      result.flag === 'normal' ? 'That is where we want it.' : `This can point to ${result.test[result.flag]}.`
    return `Your ${result.test.name} was ${say.amount(result)}. ${random.pick([`It shows ${result.test.measures}.`, meaning])}`
  })
  return document(
    `Dear ${say.titled(person)},`,
    paragraph(
      random.pick([
        `thank you for coming on ${visit.date}.`,
        `it was good to see you on ${visit.date}.`,
        `I am writing about your visit of ${visit.date}.`,
      ]),
      `we talked about your ${visit.complaint.symptom} and your ${joinAnd(say.conditionNames(visit))}.`,
      ...results,
    ),
    visit.prescriptions.length > 0
      ? paragraph(
          random.pick([
            'please keep taking your medicines:',
            'these are your medicines:',
            'to be sure, here is what you take:',
          ]),
          `${joinAnd(visit.prescriptions.map(say.order))}.`,
          changed ? `about ${changed.name}: it ${changed.works}.` : '',
        )
      : '',
    paragraph(
      `it also helps to ${random.pick(main.advice)}.`,
      `call at once for ${main.warning}.`,
      ...say.planSentences(random, visit, 'you'),
    ),
    `${random.pick(['Yours sincerely', 'Kind regards', 'With best wishes'])},\n${visit.clinician}`,
  )
}

/** A letter from one doctor to another. */
export function referral(random: Random, visit: Encounter): string {
  const { person } = visit
  return document(
    `${random.pick(['Dear colleague,', 'Dear colleagues,'])} ${random.pick(['re', 'about'])} ${say.fullName(person)}, record ${visit.recordNumber}.`,
    paragraph(
      `${random.pick(['please see', 'I would be grateful if you saw', 'thank you for seeing'])} this ${say.aged(random, person)} in ${random.pick(specialties)}.`,
      `${say.he(person)} has ${joinAnd(say.conditionNames(visit))} and ${visit.complaint.symptom} for ${visit.complaint.duration}.`,
      say.takes(random, visit),
      say.allergyLine(random, visit),
    ),
    paragraph(
      ...visit.labs.map((result) => say.labSentence(random, result)),
      `I have arranged ${random.pick(procedures)}.`,
    ),
    random.pick([visit.clinician, `${visit.clinician}, ${visit.date}`]),
  )
}

/** The sheet a patient takes home. */
export function dischargeSheet(random: Random, visit: Encounter): string {
  const { person, prescriptions } = visit
  const main = visit.conditions[0]!
  const items = prescriptions.map((item) =>
    random.pick([
      `${say.withRoute(item)}, for ${item.condition.name}`,
      `${say.order(item)}: ${item.medication.caution}`,
      say.order(item),
    ]),
  )
  return document(
    `Going home: ${say.fullName(person)}, ${visit.date}`,
    paragraph(
      `you were treated for ${main.name}.`,
      `in ${main.name}, ${main.about}.`,
      ...visit.labs.slice(0, 1).map((result) => say.labSentence(random, result)),
    ),
    items.length > 0 ? `What to take:\n${bullets(random, items)}` : '',
    `What to do at home:\n${bullets(random, main.advice.map(capital))}`,
    paragraph(`come back at once for ${main.warning}.`, ...say.planSentences(random, visit, 'you')),
  )
}

/** The same visit told as a story, with speech. */
export function story(random: Random, visit: Encounter): string {
  const { person, clinician, complaint } = visit
  const result = visit.labs[0]!
  const drug = visit.prescriptions[0]
  const asks = random.pick([
    `"How long have you had ${complaint.symptom}?" asked ${clinician}. "For ${complaint.duration}," said ${say.titled(person)}.`,
    `"It is the ${complaint.symptom}," ${say.he(person)} said. "It has been ${complaint.duration} now."`,
    `${clinician} listened to the story of ${complaint.symptom}, which had lasted ${complaint.duration}.`,
  ])
  const medicine = drug
    ? random.pick([
        `"Are you still taking the ${drug.medication.name}?" "Yes, ${drug.dose} ${drug.schedule}."`,
        `${say.he(person)} had brought a box of ${drug.medication.name} ${drug.dose}, which ${say.he(person)} used ${drug.schedule}.`,
        `"${capital(drug.medication.name)} ${drug.medication.works}," the doctor explained. "Please take ${drug.dose} ${drug.schedule}."`,
      ])
    : `${say.he(person)} took no medicines.`
  return document(
    paragraph(
      `${say.fullName(person)} was ${withArticle(visit.occupation)}, ${person.age} years old, and had ${joinAnd(say.conditionNames(visit))}.`,
      `on ${visit.date} ${say.he(person)} came to see ${clinician}.`,
      asks,
      medicine,
    ),
    paragraph(
      `the ${result.test.name} was ${say.amount(result)}.`,
      result.flag === 'normal'
        ? `"${say.amount(result)} is a normal value," said ${clinician}.`
        : `"${say.amount(result)} is ${result.flag}," said ${clinician}. "A ${result.flag} ${result.test.name} can point to ${result.test[result.flag]}."`,
      ...say.planSentences(random, visit),
      `${say.titled(person)} ${random.pick(['thanked the doctor and went home', 'felt relieved', 'wrote it all down', 'promised to come back'])}.`,
    ),
  )
}

/** A page from the laboratory, and a sentence or two that take up its values again. */
export function labReport(random: Random, visit: Encounter): string {
  const row = random.pick([
    (r: Encounter['labs'][number]) =>
      `${r.test.name} ${say.amount(r)} (usual range ${r.test.normal[0]} to ${r.test.normal[1]})`,
    (r: Encounter['labs'][number]) => `${r.test.name} = ${say.amount(r)}`,
    (r: Encounter['labs'][number]) => `${say.amount(r)} ${r.test.name}, range ${r.test.normal[0]}-${r.test.normal[1]}`,
  ])
  const comments = visit.labs.map((result) => {
    const [low, high] = result.test.normal
    if (result.flag === 'high')
      return `${result.test.name} of ${say.amount(result)} is above ${high} and therefore high.`
    if (result.flag === 'low') return `${result.test.name} of ${say.amount(result)} is below ${low} and therefore low.`
    return `${result.test.name} of ${say.amount(result)} lies between ${low} and ${high} and is normal.`
  })
  return document(
    `Laboratory report for ${say.fullName(visit.person)}, number ${visit.recordNumber}, ${visit.date}.`,
    visit.labs.map(row).join('\n'),
    paragraph(...comments),
  )
}
