import type { Random } from '@tunesmith/core'
import { bullets, capital, document, joinAnd, paragraph, sample, some, withArticle } from '../grammar'
import { type Condition, conditions, type LabTest, labTests, type Medication, medications } from '../knowledge'

/** Textbook-like pages: what conditions, medicines and laboratory tests are, in whole sentences. */

/** Which conditions a medicine is in use for. */
export const usedFor = ({ name }: Medication): string[] =>
  conditions.filter((condition) => condition.medications.includes(name)).map((condition) => condition.name)

const conditionSentences: ((random: Random, c: Condition) => string)[] = [
  (r, c) =>
    r.pick([
      `${c.name} is a condition in which ${c.about}.`,
      `in ${c.name}, ${c.about}.`,
      `people with ${c.name} live with this: ${c.about}.`,
    ]),
  (r, c) =>
    r.pick([
      `typical symptoms of ${c.name} are ${joinAnd(c.symptoms)}.`,
      `it often shows itself through ${joinAnd(c.symptoms)}.`,
      `people with ${c.name} may notice ${some(r, c.symptoms, 3)}.`,
    ]),
  (r, c) =>
    r.pick([
      `the risk is higher with ${joinAnd(c.risks)}.`,
      `${c.name} is more likely with ${joinAnd(c.risks)}.`,
      `${joinAnd(c.risks)} raise the risk of ${c.name}.`,
    ]),
  (r, c) => {
    if (c.medications.length === 0) return `there is no tablet against ${c.name}; what counts is to ${c.advice[0]}.`
    const names = joinAnd(c.medications)
    return r.pick([
      `medicines for ${c.name} include ${names}.`,
      `${c.name} is treated with ${joinAnd(c.medications, 'or')}.`,
      `doctors often begin with ${c.medications[0]}. Medicines in use are ${names}.`,
    ])
  },
  (r, c) =>
    r.pick([
      `the tests to follow are ${joinAnd(c.labs)}.`,
      `doctors watch ${joinAnd(c.labs)} in people with ${c.name}.`,
    ]),
  (r, c) =>
    r.pick([
      `it helps to ${joinAnd(c.advice)}.`,
      `people with ${c.name} should ${joinAnd(c.advice)}.`,
      `at home, ${joinAnd(c.advice)}.`,
    ]),
  (r, c) =>
    r.pick([
      `seek care at once for ${c.warning}.`,
      `warning signs are ${c.warning}.`,
      `with ${c.name}, call for help in case of ${c.warning}.`,
    ]),
]

const medicationSentences: ((random: Random, m: Medication) => string)[] = [
  (r, m) => r.pick([`${m.name} is ${m.kind}.`, `${m.name} belongs here: it is ${m.kind}.`]),
  (r, m) => r.pick([`it ${m.works}.`, `${m.name} ${m.works}.`, `the way it works: it ${m.works}.`]),
  (r, m) =>
    r.pick([
      `it is used for ${joinAnd(usedFor(m))}.`,
      `doctors prescribe ${m.name} for ${joinAnd(usedFor(m))}.`,
      `${m.name} is a medicine for ${joinAnd(usedFor(m))}.`,
    ]),
  (r, m) =>
    r.pick([
      `the usual doses are ${joinAnd(m.doses, 'or')}, ${m.route}, ${joinAnd(m.schedules, 'or')}.`,
      `it is taken ${m.route}, ${r.pick(m.schedules)}, in doses of ${joinAnd(m.doses, 'or')}.`,
    ]),
  (r, m) =>
    r.pick([
      `it can cause ${joinAnd(m.effects)}.`,
      `side effects of ${m.name} are ${joinAnd(m.effects)}.`,
      `some people get ${joinAnd(m.effects, 'or')}.`,
    ]),
  (r, m) =>
    r.pick([
      `people who use it should ${m.caution}.`,
      `with ${m.name}, ${m.caution}.`,
      `one piece of advice: ${m.caution}.`,
    ]),
]

const labSentences: ((random: Random, t: LabTest) => string)[] = [
  (r, t) => r.pick([`the ${t.name} test shows ${t.measures}.`, `${t.name} tells us about ${t.measures}.`]),
  (_, t) => `its usual range in adults is ${t.normal[0]} to ${t.normal[1]}${t.unit === 'ratio' ? '' : ` ${t.unit}`}.`,
  (r, t) =>
    r.pick([`a high ${t.name} points to ${t.high}.`, `when ${t.name} is above ${t.normal[1]}, think of ${t.high}.`]),
  (r, t) =>
    r.pick([`a low ${t.name} points to ${t.low}.`, `when ${t.name} is below ${t.normal[0]}, think of ${t.low}.`]),
]

/** The first sentence stays first; the others come in any order, one or two left out. */
function page<Topic>(random: Random, topic: Topic, sentences: ((random: Random, topic: Topic) => string)[]): string {
  const [first, ...rest] = sentences
  const chosen = sample(random, rest, rest.length - random.int(2))
  const written = [first!, ...chosen].map((write) => write(random, topic))
  const cut = random.pick([written.length, 3])
  return document(paragraph(...written.slice(0, cut)), paragraph(...written.slice(cut)))
}

/** What a page is about, and the page. */
export type Page = [topic: string, text: string]

export function conditionPage(random: Random): Page {
  const condition = random.pick(conditions)
  const text = page(random, condition, conditionSentences)
  const withTitle = `${capital(condition.name)}\n\n${text}\n\n${bullets(random, condition.advice)}`
  return [condition.name, random.pick([text, text, withTitle])]
}

export function medicationPage(random: Random): Page {
  const medication = random.pick(medications)
  return [medication.name, page(random, medication, medicationSentences)]
}

export function labPage(random: Random): Page {
  const test = random.pick(labTests)
  return [test.name, page(random, test, labSentences)]
}

/** A few facts about several topics, as in a newsletter. */
export function digest(random: Random): string {
  const facts = [
    ...sample(random, conditions, 3).map((c) =>
      random.pick(conditionSentences)(random, c).replace(/^it /, `${c.name} `),
    ),
    ...sample(random, medications, 3).map((m) =>
      random.pick(medicationSentences)(random, m).replace(/^it /, `${m.name} `),
    ),
    ...sample(random, labTests, 1).map((t) => labSentences[0]!(random, t)),
  ]
  return paragraph(...random.shuffle(facts))
}

/** Which of two medicines or conditions is which. */
export function comparison(random: Random): string {
  if (random.int(2) === 0) {
    const [x, y] = sample(random, medications, 2) as [Medication, Medication]
    return paragraph(
      `${x.name} and ${y.name} are sometimes mixed up.`,
      `${x.name} is ${x.kind} and ${x.works}, while ${y.name} is ${y.kind} and ${y.works}.`,
      `${x.name} is used for ${joinAnd(usedFor(x))}; ${y.name} is used for ${joinAnd(usedFor(y))}.`,
      `${x.name} can cause ${random.pick(x.effects)}, ${y.name} can cause ${random.pick(y.effects)}.`,
    )
  }
  const [x, y] = sample(random, conditions, 2) as [Condition, Condition]
  return paragraph(
    `how do ${x.name} and ${y.name} differ?`,
    `in ${x.name}, ${x.about}.`,
    `in ${y.name}, ${y.about}.`,
    `${capital(random.pick(x.symptoms))} speaks for ${x.name}, ${random.pick(y.symptoms)} for ${y.name}.`,
  )
}

/** A question that people ask, answered inside a running text. */
export function askedInProse(random: Random): string {
  const c = random.pick(conditions)
  const m = random.pick(medications)
  const t = random.pick(labTests)
  return random.pick([
    `Many people ask what ${m.name} is for. It is ${m.kind} and is used for ${joinAnd(usedFor(m))}, because it ${m.works}.`,
    `Why do doctors prescribe ${m.name}? Because it ${m.works}. The dose is often ${random.pick(m.doses)} ${random.pick(m.schedules)}.`,
    `Is there something to watch with ${m.name}? Yes: ${joinAnd(m.effects)}. People who use it should ${m.caution}.`,
    `What happens in ${c.name}? ${capital(c.about)}. That explains ${some(random, c.symptoms, 3)}.`,
    `Who gets ${c.name}? It is more likely with ${joinAnd(c.risks)}. When in doubt, ask for ${joinAnd(c.labs, 'or')}.`,
    `What can one do about ${c.name}? It helps to ${joinAnd(c.advice)}. Go to the hospital for ${c.warning}.`,
    `What does ${t.name} mean? It shows ${t.measures}. High values point to ${t.high}, low values to ${t.low}.`,
    `Would ${withArticle(random.pick(c.ages[0] > 40 ? ['older person', 'adult'] : ['adult', 'young person']))} with ${random.pick(c.symptoms)} think of ${c.name}? Often not. Yet ${some(random, c.symptoms, 3)} can be its signs.`,
  ])
}
