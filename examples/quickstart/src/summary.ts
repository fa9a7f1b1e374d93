import { amount, conditionNames, fullName, order } from 'pretrain-tiny-medic/phrases'
import type { Chart } from './chart'

const UNKNOWN = 'not recorded'

/** The seven lines that the fine-tune teaches, in fixed order; what the record does not say is `not recorded`. */
export function summarize(chart: Chart): string {
  const { person, complaint, prescriptions, allergy, labs, written } = chart
  const results = labs.map((result) => `${result.test.name} ${amount(result)} (${result.flag})`)
  return [
    `Patient: ${fullName(person)}, ${person.age}, ${person.sex}`,
    `Problems: ${conditionNames(chart).join('; ')}`,
    `Reason: ${written.has('reason') ? `${complaint.symptom} for ${complaint.duration}` : UNKNOWN}`,
    `Medicines: ${written.has('medicines') ? prescriptions.map(order).join('; ') || 'none' : UNKNOWN}`,
    `Allergies: ${written.has('allergies') ? (allergy ?? 'none known') : UNKNOWN}`,
    `Results: ${written.has('results') ? results.join('; ') : UNKNOWN}`,
    `Plan: ${written.has('plan') ? planItems(chart).join('; ') : UNKNOWN}`,
  ].join('\n')
}

function planItems({ plan, prescriptions }: Chart): string[] {
  const items: string[] = []
  if (plan.change) {
    const { kind, prescription, dose } = plan.change
    if (kind === 'increase') items.push(`increase ${prescription.medication.name} to ${dose}`)
    else if (kind === 'start') items.push(`start ${order(prescription)}`)
    else items.push(`stop ${prescription.medication.name}`)
  } else if (prescriptions.length > 0) items.push('no change')
  if (plan.recheck) items.push(`repeat ${plan.recheck.test.name} in ${plan.recheck.after}`)
  items.push(`return in ${plan.returnAfter}`)
  return items
}
