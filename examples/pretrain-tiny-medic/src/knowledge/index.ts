export { conditions } from './conditions'
export { compatible, suitable } from './conflicts'
export { labTestNamed, labTests } from './labs'
export { medicationNamed, medications } from './medications'
export {
  allergens,
  familyNames,
  femaleNames,
  maleNames,
  months,
  occupations,
  procedures,
  settings,
  specialties,
} from './people'
export type { Condition, LabTest, Medication } from './types'
