import { list, type Medication } from './types'

/** Kinds of medicine of which nobody takes two at a time. */
const alternatives: RegExp[] = [
  /statin$/,
  /SSRI|SNRI/,
  /beta blocker/,
  /anticoagulant/,
  /anti-inflammatory pain/,
  /ACE inhibitor|angiotensin/,
  /antihistamine/,
  /antibiotic/,
  /proton pump|H2/,
]

/** Medicines, and the conditions with which they are not given. */
const avoidedWith: Record<string, string[]> = {
  propranolol: list('asthma; COPD'),
  metoprolol: list('asthma'),
  bupropion: list('epilepsy'),
  sumatriptan: list('coronary artery disease; hypertension'),
  ibuprofen: list('chronic kidney disease; peptic ulcer; heart failure; hypertension; coronary artery disease'),
  naproxen: list('chronic kidney disease; peptic ulcer; heart failure; hypertension; coronary artery disease'),
  nitrofurantoin: list('chronic kidney disease'),
  metformin: list('chronic kidney disease; type 1 diabetes'),
  empagliflozin: list('type 1 diabetes'),
  aspirin: list('peptic ulcer'),
}

/** Conditions that nobody has together. */
const exclusive: string[][] = [
  list('type 1 diabetes; type 2 diabetes'),
  list('hypothyroidism; hyperthyroidism'),
  list('acid reflux; peptic ulcer'),
  list('constipation; gastroenteritis'),
  list('pneumonia; influenza'),
]

/** Whether `other` may be added to these conditions. */
export const compatible = (present: string[], other: string): boolean =>
  !exclusive.some((group) => group.includes(other) && group.some((name) => present.includes(name)))

/** Whether a medicine fits beside the conditions, the medicines taken already and an allergy. */
export function suitable(
  medication: Medication,
  conditions: string[],
  taken: Medication[],
  allergy: string | undefined,
): boolean {
  if (allergy === medication.name || (allergy === 'penicillin' && medication.kind.includes('penicillin'))) return false
  if (avoidedWith[medication.name]?.some((name) => conditions.includes(name))) return false
  if (taken.some(({ name }) => name === medication.name)) return false
  return !alternatives.some((kind) => kind.test(medication.kind) && taken.some((other) => kind.test(other.kind)))
}
