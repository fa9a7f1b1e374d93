import type { Random } from '@tunesmith/core'
import { familyName } from '../encounter'
import { between, sample } from '../grammar'
import { conditions, femaleNames, labTests, maleNames, medications, occupations } from '../knowledge'

/**
 * Lists of unrelated words that are dictated and then said again. There is no way to foretell the second time but to
 * look back at the first, so a model learns to copy from these long before it would from prose.
 */

const words: string[] = [
  ...new Set(
    [
      ...conditions.flatMap((c) => [c.name, c.about, c.warning, ...c.symptoms, ...c.risks, ...c.advice]),
      ...medications.flatMap((m) => [m.name, m.works, m.caution, ...m.effects, ...m.schedules]),
      ...labTests.flatMap((t) => [t.name, t.measures]),
      ...occupations,
    ].flatMap((text) => text.split(/[^A-Za-z]+/).filter(Boolean)),
  ),
  ...femaleNames,
  ...maleNames,
]

/** Different words, a space between, two to four times: the easiest thing there is to copy. */
export function plainDrill(random: Random): string {
  const list = sample(random, words, between(random, 5, 24)).join(' ')
  return Array(random.pick([2, 2, 3, 4]))
    .fill(list)
    .join('\n')
}

function item(random: Random): string {
  const kind = random.int(10)
  if (kind < 3) return familyName(random)
  if (kind < 5) return String(between(random, 0, [9, 99, 999][random.int(3)]!))
  return random.pick(words)
}

/** Words, names and numbers, with separators and with something said between the first time and the second. */
export function drill(random: Random): string {
  const items = Array.from({ length: between(random, 4, 20) }, () => item(random))
  const list = items.join(random.pick([' ', ' ', ', ', '\n', '; ']))
  const [before, again] = random.pick([
    ['', '\n\n'],
    ['Dictated: ', '\nTyped: '],
    ['', '. Again: '],
    ['Say this: ', '. Thank you. '],
    [`${familyName(random)} reads out: `, '\n\nThe others repeat: '],
  ] as const)
  return before + list + again + list
}
