import { OverBudget } from './fault'

/**
 * What one rendering may spend. Templates come from strangers: one that loops for ever, doubles a text or prints a list
 * that holds itself many times over ends in an error, not in a dead process.
 *
 * Rendering is synchronous, so one budget is current at a time and the functions below draw on it from wherever work is
 * done: `step` before an operation, `spend` for work in proportion to a size, `take` for values made.
 */
export interface Limits {
  /** Operations: statements, turns of loops, calls, comparisons, and one per 64 characters worked through. */
  steps: number
  /** Wall-clock time. */
  milliseconds: number
  /** Characters of all texts that are made and 8 for each item of all lists; joined texts count what is added to the longest. */
  size: number
  /** How deep macros and recursive loops may call each other. */
  depth: number
}

export const LIMITS: Limits = { steps: 3_000_000, milliseconds: 3_000, size: 64 * 2 ** 20, depth: 200 }

const BETWEEN_CLOCK_LOOKS = 4_000

let limits = LIMITS
// Outside of a rendering, nothing is counted.
let steps = Number.POSITIVE_INFINITY
let lookAt = 0
let size = Number.POSITIVE_INFINITY
let depth = 0
let deadline = Number.POSITIVE_INFINITY

/** Runs `work` on a fresh budget. */
export function withBudget<Result>(work: () => Result, allowed: Limits = LIMITS): Result {
  const outer = [limits, steps, lookAt, size, depth, deadline] as const
  limits = allowed
  steps = allowed.steps
  lookAt = steps - BETWEEN_CLOCK_LOOKS
  size = allowed.size
  depth = 0
  deadline = performance.now() + allowed.milliseconds
  try {
    return work()
  } finally {
    ;[limits, steps, lookAt, size, depth, deadline] = outer
  }
}

/** Counts one operation. */
export function step(): void {
  if (--steps < lookAt) look()
}

/** Shorter texts are not worth counting each time they are read. */
const LONG_TEXT = 2 ** 16

/** Counts work on a text of `characters` characters. Where a long one was joined of parts, reading it makes it one piece. */
export function spend(characters: number): void {
  steps -= 1 + characters / 64
  if (characters > LONG_TEXT) size -= characters / 8
  if (steps < lookAt || size < 0) look()
}

function look(): void {
  if (size < 0) throw new OverBudget(`makes values of more than ${limits.size / 2 ** 20} MB`)
  if (steps < 0) throw new OverBudget(`takes more than ${limits.steps} steps`)
  if (performance.now() > deadline) throw new OverBudget(`takes more than ${limits.milliseconds / 1000} seconds`)
  lookAt = steps - BETWEEN_CLOCK_LOOKS
}

/** Counts `characters` of a new value, before it is made. */
export function take(characters: number): void {
  size -= characters
  steps -= 1 + characters / 512
  if (steps < lookAt || size < 0) look()
}

/** Counts a text that is joined of others and shares their memory: what came to the longest of them. */
export function takeJoined(characters: number, longest: number): void {
  if (characters > limits.size) size = -1
  take(characters - longest)
}

/** Goes one call deeper; `leave` comes back. An error ends the whole rendering, so nothing has to come back then. */
export function enter(): void {
  if (++depth > limits.depth) throw new OverBudget(`calls itself more than ${limits.depth} times deep`)
}

export function leave(): void {
  depth--
}
