import { Random } from '@tunesmith/core'
import { chat, play } from './documents/conversations'
import * as copying from './documents/copying'
import { drill, plainDrill } from './documents/drills'
import * as encounters from './documents/encounters'
import * as facts from './documents/facts'
import { type Encounter, sampleEncounter } from './encounter'
import { chance, document, sample } from './grammar'

const aboutVisit: ((random: Random, visit: Encounter) => string)[] = [
  encounters.clinicNote,
  encounters.handover,
  encounters.patientLetter,
  encounters.referral,
  encounters.dischargeSheet,
  encounters.story,
  encounters.labReport,
]

/** Documents about the same visit, one after the other: the later ones can be foretold from the first. */
function several(random: Random): string {
  const visit = sampleEncounter(random)
  return document(...sample(random, aboutVisit, random.pick([2, 2, 3])).map((write) => write(random, visit)))
}

const once = (random: Random): string => random.pick(aboutVisit)(random, sampleEncounter(random))

/** Kinds of document and how often each is met, in percent. */
const mixture: [number, (random: Random) => string][] = [
  [30, several],
  [14, once],
  [22, chat],
  [4, play],
  [7, (random) => facts.conditionPage(random)[1]],
  [7, (random) => facts.medicationPage(random)[1]],
  [2, (random) => facts.labPage(random)[1]],
  [2, facts.digest],
  [2, facts.comparison],
  [3, facts.askedInProse],
  [2, (random) => copying.readBack(random, sampleEncounter(random))],
  [2, copying.wardRound],
  [1, copying.reconciliation],
  [1, (random) => copying.calledValues(random, sampleEncounter(random))],
  [1, copying.appointments],
]

/** Document number `index` of the prose; each can be had without writing those before it. */
export function proseDocument(seed: number, index: number): string {
  const random = new Random(seed, `document ${index}`)
  let ticket = random.int(mixture.reduce((sum, [share]) => sum + share, 0))
  for (const [share, write] of mixture) {
    ticket -= share
    if (ticket < 0) return write(random)
  }
  throw new RangeError('The shares of the mixture must add up')
}

/** How many of the first documents are mostly drills: a model that can copy learns the rest sooner. */
const DRILLS_FIRST = 1200

/** Document number `index` to train on: prose, or a drill; more drills at first. */
export function corpusDocument(seed: number, index: number): string {
  const random = new Random(seed, `drill ${index}`)
  const isDrill = chance(random, index < DRILLS_FIRST ? 0.6 : 0.08)
  return isDrill ? random.pick([plainDrill, drill])(random) : proseDocument(seed, index)
}
