import { heartMedications } from './medications-heart'
import { mindAndPainMedications } from './medications-mind-and-pain'
import { otherMedications } from './medications-other'
import type { Medication } from './types'

export const medications: Medication[] = [...heartMedications, ...mindAndPainMedications, ...otherMedications]

const byName = new Map(medications.map((medication) => [medication.name, medication]))

export function medicationNamed(name: string): Medication {
  const medication = byName.get(name)
  if (!medication) throw new RangeError(`The knowledge base has no medication "${name}"`)
  return medication
}
