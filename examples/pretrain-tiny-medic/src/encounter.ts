import type { Random } from '@tunesmith/core'
import { between, chance, sample } from './grammar'
import {
  allergens,
  type Condition,
  compatible,
  conditions,
  familyNames,
  femaleNames,
  type LabTest,
  labTestNamed,
  type Medication,
  maleNames,
  medicationNamed,
  months,
  occupations,
  settings,
  suitable,
} from './knowledge'

export interface Person {
  first: string
  last: string
  sex: 'female' | 'male'
  age: number
}

export interface Prescription {
  medication: Medication
  dose: string
  schedule: string
  /** The condition it is for. */
  condition: Condition
}

export interface LabResult {
  test: LabTest
  /** As printed, without the unit. */
  value: string
  flag: 'low' | 'normal' | 'high'
}

/** What was decided at the end of a visit. */
export interface Plan {
  /** A change of one prescription, when there is one. */
  change?: { kind: 'increase' | 'start' | 'stop'; prescription: Prescription; dose: string }
  recheck?: { test: LabTest; after: string }
  returnAfter: string
}

/** One person at one visit: everything a document about it may mention. */
export interface Encounter {
  person: Person
  recordNumber: string
  occupation: string
  date: string
  clinician: string
  setting: string
  complaint: { symptom: string; duration: string }
  conditions: Condition[]
  prescriptions: Prescription[]
  allergy: string | undefined
  vitals: { systolic: number; diastolic: number; pulse: number; temperature: string; oxygen: number; weight: number }
  labs: LabResult[]
  plan: Plan
}

export function familyName(random: Random): string {
  const name = random.pick(familyNames.starts) + random.pick(familyNames.ends)
  return chance(random, 0.04) ? `${name}-${random.pick(familyNames.starts)}${random.pick(familyNames.ends)}` : name
}

export function duration(random: Random): string {
  const unit = random.pick(['day', 'week', 'week', 'month'])
  const count = between(random, 1, unit === 'day' ? 10 : unit === 'week' ? 6 : 9)
  return count === 1 ? `one ${unit}` : `${count} ${unit}s`
}

export function interval(random: Random): string {
  const unit = random.pick(['week', 'week', 'month'])
  const count = between(random, 1, unit === 'week' ? 8 : 6)
  return count === 1 ? `1 ${unit}` : `${count} ${unit}s`
}

/** A result somewhere in the values that are met, abnormal about half of the time. */
export function labResult(random: Random, test: LabTest): LabResult {
  const [low, high] = chance(random, 0.45) ? test.normal : test.met
  const value = (low + (high - low) * random.uniform()).toFixed(test.decimals)
  const flag = Number(value) < test.normal[0] ? 'low' : Number(value) > test.normal[1] ? 'high' : 'normal'
  return { test, value, flag }
}

export function prescription(random: Random, condition: Condition, medication: Medication): Prescription {
  return { medication, condition, dose: random.pick(medication.doses), schedule: random.pick(medication.schedules) }
}

function person(random: Random, condition: Condition): Person {
  const sex = condition.sex ?? random.pick(['female', 'male'] as const)
  const first = random.pick(sex === 'female' ? femaleNames : maleNames)
  return { first, last: familyName(random), sex, age: between(random, ...condition.ages) }
}

const names = (list: Condition[]): string[] => list.map(({ name }) => name)

function prescriptions(random: Random, list: Condition[], allergy: string | undefined): Prescription[] {
  const found: Prescription[] = []
  for (const condition of list) {
    const usual = condition.medications.slice(0, 1 + random.int(condition.medications.length || 1)).map(medicationNamed)
    for (const medication of sample(random, usual, chance(random, 0.65) ? 1 : 2)) {
      const taken = found.map((item) => item.medication)
      if (suitable(medication, names(list), taken, allergy)) found.push(prescription(random, condition, medication))
    }
  }
  return found.slice(0, 4)
}

/** The next dose up, a medicine added or one taken away. */
function change(
  random: Random,
  list: Condition[],
  current: Prescription[],
  allergy: string | undefined,
): Plan['change'] {
  const one = current.length > 0 ? random.pick(current) : undefined
  if (one && chance(random, 0.5)) {
    const next = one.medication.doses[one.medication.doses.indexOf(one.dose) + 1]
    if (next) return { kind: 'increase', prescription: one, dose: next }
  }
  const condition = list[0]!
  const taken = current.map(({ medication }) => medication)
  const options = condition.medications.map(medicationNamed).filter((m) => suitable(m, names(list), taken, allergy))
  if (options.length > 0 && chance(random, 0.6)) {
    const medication = random.pick(options)
    const dose = medication.doses[0]!
    return {
      kind: 'start',
      prescription: { medication, condition, dose, schedule: random.pick(medication.schedules) },
      dose,
    }
  }
  // Nobody is left untreated: a medicine goes only when another one for the same condition stays.
  const replaceable = current.filter((item) => item !== one && item.condition === one?.condition).length > 0
  if (one && replaceable && !one.medication.kind.includes('insulin'))
    return { kind: 'stop', prescription: one, dose: one.dose }
  return undefined
}

export function sampleEncounter(random: Random): Encounter {
  const main = random.pick(conditions)
  const who = person(random, main)
  const fits = (other: Condition) =>
    other !== main &&
    compatible([main.name], other.name) &&
    who.age >= other.ages[0] &&
    who.age <= other.ages[1] &&
    (other.sex ?? who.sex) === who.sex
  const all = [main]
  for (const other of sample(random, conditions.filter(fits), random.pick([0, 1, 1, 2])))
    if (compatible(names(all), other.name)) all.push(other)
  const allergy = chance(random, 0.45) ? random.pick(allergens) : undefined
  const current = prescriptions(random, all, allergy)
  const onWarfarin = current.some(({ medication }) => medication.name === 'warfarin')
  const tests = [...new Set(all.flatMap((condition) => condition.labs))].filter((name) => name !== 'INR' || onWarfarin)
  const labs = sample(random, tests, between(random, 1, 3)).map((name) => labResult(random, labTestNamed(name)))
  return {
    person: who,
    recordNumber: String(between(random, 10_000, 99_999)),
    occupation: random.pick(occupations),
    date: `${random.pick(months)} ${between(random, 1, 28)}, ${between(random, 2015, 2026)}`,
    clinician: `Dr. ${familyName(random)}`,
    setting: random.pick(settings),
    complaint: { symptom: random.pick(main.symptoms), duration: duration(random) },
    conditions: all,
    prescriptions: current,
    allergy,
    vitals: {
      systolic: between(random, 102, 178),
      diastolic: between(random, 58, 104),
      pulse: between(random, 54, 112),
      temperature: (36.2 + 2.6 * random.uniform() ** 3).toFixed(1),
      oxygen: between(random, 90, 100),
      weight: between(random, 48, 118),
    },
    labs,
    plan: {
      change: change(random, all, current, allergy),
      recheck: chance(random, 0.7) ? { test: random.pick(labs).test, after: interval(random) } : undefined,
      returnAfter: interval(random),
    },
  }
}
