/** A list written as one string, items separated by `; `, which keeps a fact sheet readable. */
export const list = (items: string): string[] => items.split('; ')

/** What one condition is and how it is looked after. Field texts fit the sentence frames given beside them. */
export interface Condition {
  name: string
  /** "... is a condition in which ABOUT." */
  about: string
  /** Nouns: "reports SYMPTOM". */
  symptoms: string[]
  /** Nouns: "is more likely with RISK". */
  risks: string[]
  /** Names of medications in use for it, the usual first choice first; may be empty. */
  medications: string[]
  /** Names of the laboratory tests that go with it. */
  labs: string[]
  /** Imperatives: "It helps to ADVICE." */
  advice: string[]
  /** Nouns: "Seek care at once for WARNING." */
  warning: string
  /** Ages at which it is usually met. */
  ages: [number, number]
  /** Only one sex has it. */
  sex?: 'female' | 'male'
}

export interface Medication {
  name: string
  /** "It is KIND." with its article. */
  kind: string
  /** "It WORKS." */
  works: string
  /** Doses in rising order, with their unit. */
  doses: string[]
  route: 'by mouth' | 'by inhalation' | 'by injection' | 'on the skin' | 'in each eye' | 'under the tongue'
  schedules: string[]
  /** Nouns: "can cause EFFECT". */
  effects: string[]
  /** Imperative: "People who use it should CAUTION." */
  caution: string
}

export interface LabTest {
  name: string
  unit: string
  /** Usual range for adults. */
  normal: [number, number]
  /** Values that are met in a clinic. */
  met: [number, number]
  decimals: 0 | 1 | 2
  /** "It shows MEASURES." */
  measures: string
  /** Nouns: "A high value points to HIGH." */
  high: string
  low: string
}
