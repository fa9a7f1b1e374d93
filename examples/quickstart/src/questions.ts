import type { Random } from '@tunesmith/core'
import { labResult, prescription, sampleEncounter } from 'pretrain-tiny-medic/encounter'
import { usedFor } from 'pretrain-tiny-medic/facts'
import { capital, joinAnd, withArticle } from 'pretrain-tiny-medic/grammar'
import {
  type Condition,
  conditions,
  type LabTest,
  labTests,
  type Medication,
  medications,
} from 'pretrain-tiny-medic/knowledge'
import { amount, fullName, order } from 'pretrain-tiny-medic/phrases'

/** Something people ask about: one aspect of one condition, medicine or test. */
export interface Topic {
  /** For example `gout: self-care`; a topic of the test split is never asked about in training. */
  name: string
  ask: (random: Random) => { asked: string; answer: string }
}

const answer = (first: string, context: string, next: string): string =>
  [`Answer: ${first}.`, `Good to know: ${context}.`, `Next step: ${next}.`].join('\n')

function medicationTopics(m: Medication): Topic[] {
  const taking = (random: Random) => {
    const condition = conditions.find(({ medications }) => medications.includes(m.name))!
    return order(prescription(random, condition, m))
  }
  return [
    {
      name: `${m.name}: purpose`,
      ask: (random) => ({
        asked: random.pick([
          `What is ${m.name} for?`,
          `I take ${taking(random)}. What does it do?`,
          `Why was I given ${m.name}?`,
          `My doctor wants me to take ${taking(random)}. What is it good for?`,
        ]),
        answer: answer(`${m.name} is ${m.kind} used for ${joinAnd(usedFor(m))}`, `it ${m.works}`, m.caution),
      }),
    },
    {
      name: `${m.name}: side effects`,
      ask: (random) => ({
        asked: random.pick([
          `What side effects can ${m.name} have?`,
          `I take ${taking(random)}. What should I look out for?`,
          `Is ${m.name} safe, and what can it cause?`,
          `Which problems can come from ${taking(random)}?`,
        ]),
        answer: answer(`${m.name} can cause ${joinAnd(m.effects)}`, `it is ${m.kind}`, m.caution),
      }),
    },
  ]
}

function conditionTopics(c: Condition): Topic[] {
  const call = `seek care at once for ${c.warning}`
  return [
    {
      name: `${c.name}: meaning`,
      ask: (random) => ({
        asked: random.pick([
          `What is ${c.name}?`,
          `I was told that I have ${c.name}. What does that mean?`,
          `Can you explain ${c.name}?`,
        ]),
        answer: answer(`in ${c.name}, ${c.about}`, `typical signs are ${joinAnd(c.symptoms)}`, call),
      }),
    },
    {
      name: `${c.name}: self-care`,
      ask: (random) => ({
        asked: random.pick([
          `What can I do myself about ${c.name}?`,
          `How do I live well with ${c.name}?`,
          `I have ${c.name}. What helps at home?`,
        ]),
        answer: answer(joinAnd(c.advice), `${c.name} is more likely with ${joinAnd(c.risks)}`, call),
      }),
    },
    {
      name: `${c.name}: treatment`,
      ask: (random) => ({
        asked: random.pick([
          `How is ${c.name} treated?`,
          `Which medicines are there for ${c.name}?`,
          `What can the doctor give me for ${c.name}?`,
        ]),
        answer: answer(
          c.medications.length > 0
            ? `${c.name} is treated with ${joinAnd(c.medications, 'or')}`
            : `there is no tablet against ${c.name}`,
          `the tests to follow are ${joinAnd(c.labs)}`,
          c.advice[0]!,
        ),
      }),
    },
  ]
}

function labTopic(t: LabTest): Topic {
  return {
    name: `${t.name}: result`,
    ask: (random) => {
      const result = labResult(random, t)
      const said = amount(result)
      const meaning =
        result.flag === 'normal' ? `it shows ${t.measures}` : `a ${result.flag} value points to ${t[result.flag]}`
      return {
        asked: random.pick([
          `My ${t.name} was ${said}. What does that mean?`,
          `Is ${withArticle(t.name)} of ${said} good?`,
          `The laboratory found ${withArticle(t.name)} of ${said}. Should I worry?`,
        ]),
        answer: answer(
          `${withArticle(t.name)} of ${said} is ${result.flag}`,
          meaning,
          result.flag === 'normal' ? 'nothing needs to change' : 'talk it over with your doctor',
        ),
      }
    },
  }
}

export const topics: Topic[] = [
  ...medications.flatMap(medicationTopics),
  ...conditions.flatMap(conditionTopics),
  ...labTests.map(labTopic),
]

/** A question by somebody, and its answer in three lines. */
export function askAbout(random: Random, topic: Topic): { name: string; question: string; answer: string } {
  const { person, occupation } = sampleEncounter(random)
  const { asked, answer } = topic.ask(random)
  const name = fullName(person)
  const question = random.pick([
    asked,
    `I am ${person.age} years old. ${asked}`,
    `${name}, ${person.age}, asks: ${asked}`,
    `My name is ${name} and I work as ${withArticle(occupation)}. ${asked}`,
  ])
  return {
    name,
    question,
    answer: answer
      .split('\n')
      .map((line) => line.replace(/: (.)/, (_, first) => `: ${capital(first)}`))
      .join('\n'),
  }
}
