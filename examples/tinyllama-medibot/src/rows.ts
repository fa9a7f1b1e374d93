import { Random } from '@tunesmith/core'
import { usedFor } from 'pretrain-tiny-medic/facts'
import { capital, joinAnd } from 'pretrain-tiny-medic/grammar'
import { conditions, medications } from 'pretrain-tiny-medic/knowledge'

/** A question and its answer in the columns of MedQuAD; the real ones have many nulls, so ours have some. */
export interface QuestionRow {
  document_id: string
  document_source: string
  document_url: string | null
  category: string | null
  umls_cui: string | null
  umls_semantic_types: string | null
  umls_semantic_group: string | null
  synonyms: string | null
  question_id: string
  question_focus: string
  question_type: string
  question: string
  answer: string | null
}

/** The seed of the committed file. */
export const SEED = 23

type Made = [type: string, question: string, answer: string]

function aboutConditions(): { focus: string; group: string; made: Made[] }[] {
  return conditions.map(({ name, about, symptoms, risks, medications, labs, advice, warning }) => ({
    focus: capital(name),
    group: 'Disorders',
    made: [
      ['information', `What is (are) ${capital(name)} ?`, `${capital(name)} is a condition in which ${about}.`],
      [
        'symptoms',
        `What are the symptoms of ${capital(name)} ?`,
        `Common symptoms of ${name} are ${joinAnd(symptoms)}.`,
      ],
      [
        'susceptibility',
        `Who is at risk for ${capital(name)} ?`,
        `The risk of ${name} is higher with ${joinAnd(risks)}.`,
      ],
      [
        'treatment',
        `What are the treatments for ${capital(name)} ?`,
        medications.length > 0
          ? `${capital(name)} is treated with ${joinAnd(medications, 'or')}. It also helps to ${advice[0]}.`
          : `There is no tablet against ${name}. It helps to ${joinAnd(advice)}.`,
      ],
      ['exams and tests', `How to diagnose ${capital(name)} ?`, `The tests to follow in ${name} are ${joinAnd(labs)}.`],
      ['outlook', `When to worry about ${capital(name)} ?`, `In ${name}, seek care at once for ${warning}.`],
      ['prevention', `How to live with ${capital(name)} ?`, `With ${name} it helps to ${joinAnd(advice)}.`],
    ],
  }))
}

function aboutMedications(): { focus: string; group: string; made: Made[] }[] {
  return medications.map((m) => ({
    focus: capital(m.name),
    group: 'Chemicals & Drugs',
    made: [
      ['information', `What is (are) ${capital(m.name)} ?`, `${capital(m.name)} is ${m.kind}. It ${m.works}.`],
      ['indication', `Who should get ${capital(m.name)} ?`, `${capital(m.name)} is used for ${joinAnd(usedFor(m))}.`],
      [
        'side effects',
        `What are the side effects of ${capital(m.name)} ?`,
        `${capital(m.name)} can cause ${joinAnd(m.effects)}.`,
      ],
      ['usage', `How should ${capital(m.name)} be used ?`, `People who use ${m.name} should ${m.caution}.`],
    ],
  }))
}

/** Every row, in an order drawn from the seed; in one of six the answer is missing, as where MedQuAD had to remove it. */
export function makeRows(seed: number): QuestionRow[] {
  const random = new Random(seed, 'medibot')
  const rows = [...aboutConditions(), ...aboutMedications()].flatMap(({ focus, group, made }, d) =>
    made.map(([type, question, answer], q): QuestionRow => {
      const document = String(d + 1).padStart(4, '0')
      return {
        document_id: document,
        document_source: 'TinyMedic',
        document_url: null,
        category: null,
        umls_cui: null,
        umls_semantic_types: null,
        umls_semantic_group: group,
        synonyms: null,
        question_id: `${document}-${q + 1}`,
        question_focus: focus,
        question_type: type,
        question,
        answer: random.uniform() < 1 / 6 ? null : answer,
      }
    }),
  )
  return random.shuffle(rows)
}
