import type { Random } from '@tunesmith/core'
import { type Encounter, familyName, labResult, prescription } from '../encounter'
import { between, bullets, capital, chance, document, joinAnd, paragraph, sample } from '../grammar'
import { conditions, labTests, medicationNamed, procedures } from '../knowledge'
import * as say from '../phrases'

/** Documents that say the same specifics twice: orders read back, lists checked, messages passed on. */

const randomOrders = (random: Random, count: number): string[] => {
  const treatable = conditions.filter((condition) => condition.medications.length > 0)
  return Array.from({ length: count }, () => {
    const condition = random.pick(treatable)
    const item = prescription(random, condition, medicationNamed(random.pick(condition.medications)))
    return random.pick([say.order, say.withRoute])(item)
  })
}

/** An order by telephone and its read-back, word for word. */
export function readBack(random: Random, visit: Encounter): string {
  const items = [
    ...randomOrders(random, between(random, 1, 2)),
    ...sample(random, labTests, 1).map((test) => `${test.name} on ${visit.date}`),
    ...sample(random, procedures, 1),
  ]
  const text = `${say.fullName(visit.person)}, record ${visit.recordNumber}: ${joinAnd(sample(random, items, between(random, 2, 4)))}.`
  return random.pick([
    `Telephone order from ${visit.clinician}. ${text}\n\nRead back: ${text}\n\nConfirmed by ${visit.clinician}.`,
    `"${text}" said ${visit.clinician}. The nurse repeated: "${text}"`,
    `${visit.clinician} dictates: ${text}\nThe secretary types: ${text}`,
  ])
}

/** Who is on the ward, then questions about single rows. */
export function wardRound(random: Random): string {
  const rows = Array.from({ length: between(random, 3, 6) }, (_, i) => ({
    name: familyName(random),
    bed: i + 1 + random.int(2) * 10,
    age: between(random, 19, 94),
    order: randomOrders(random, 1)[0]!,
    condition: random.pick(conditions).name,
  }))
  const listed = rows.map((r) => `bed ${r.bed}, ${r.name}, ${r.age} years, ${r.condition}, ${r.order}`)
  const recalls = sample(random, rows, rows.length).map((r) =>
    random.pick([
      `${r.name} in bed ${r.bed} is ${r.age} and gets ${r.order}.`,
      `${r.condition} is the problem of ${r.name}, aged ${r.age}.`,
      `for ${r.name}, ${r.order}.`,
      `bed ${r.bed} is ${r.name}, who has ${r.condition}.`,
    ]),
  )
  return document(`On the ward today:\n${bullets(random, listed)}`, paragraph(...recalls))
}

/** The list from home against the list in hospital. */
export function reconciliation(random: Random): string {
  const home = randomOrders(random, between(random, 2, 5))
  const dropped = chance(random, 0.5) ? random.pick(home) : undefined
  const added = chance(random, 0.6) ? randomOrders(random, 1)[0]! : undefined
  const after = [...home.filter((item) => item !== dropped), ...(added ? [added] : [])]
  return document(
    `${random.pick(['List from home', 'Taken before admission', 'The family brought this list'])}:\n${bullets(random, home)}`,
    paragraph(
      dropped ? `${dropped} was stopped.` : 'nothing was stopped.',
      added ? `${added} was added.` : 'nothing was added.',
    ),
    `${random.pick(['List now', 'The list to go home with', 'What is taken from today'])}:\n${bullets(random, after)}`,
  )
}

/** Values called through by the laboratory and entered by the ward. */
export function calledValues(random: Random, visit: Encounter): string {
  const results = sample(random, labTests, between(random, 2, 5)).map((test) => labResult(random, test))
  const said = results.map((r) => `${r.test.name} ${say.amount(r)}`)
  const written = sample(random, results, results.length).map((r) => `${r.test.name} ${say.amount(r)}, ${r.flag}`)
  const flagged = results.filter((r) => r.flag !== 'normal').map((r) => `${r.flag} ${r.test.name} (${say.amount(r)})`)
  return document(
    `The laboratory calls about ${say.fullName(visit.person)}, number ${visit.recordNumber}: ${joinAnd(said)}.`,
    `${capital(random.pick(['the nurse writes', 'entered in the chart', 'for the record']))}: ${written.join('; ')}.`,
    flagged.length > 0 ? `Outside the usual range: ${joinAnd(flagged)}.` : 'All values are in the usual range.',
  )
}

/** An appointment book and its reminders. */
export function appointments(random: Random): string {
  const rows = Array.from({ length: between(random, 2, 5) }, () => ({
    name: familyName(random),
    time: `${between(random, 8, 17)}:${random.pick(['00', '10', '15', '20', '30', '40', '45', '50'])}`,
    phone: `555-${between(random, 1000, 9999)}`,
    reason: random.pick([...procedures, ...conditions.map(({ name }) => name)]),
  }))
  const reminders = sample(random, rows, rows.length).map((r) =>
    random.pick([
      `call ${r.name} on ${r.phone} about ${r.time}.`,
      `${r.name} comes at ${r.time} for ${r.reason}; the number is ${r.phone}.`,
      `at ${r.time} we expect ${r.name} for ${r.reason}.`,
    ]),
  )
  return document(rows.map((r) => `${r.time} ${r.name}, ${r.reason}, ${r.phone}`).join('\n'), paragraph(...reminders))
}
