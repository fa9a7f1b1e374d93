import { InvalidArgumentError } from 'commander'

/** Parses an option that must be a number, 0 or above. */
export function number(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('It must be a number, 0 or above.')
  return value
}

/** Parses an option that must be a whole number, 1 or above. */
export function count(text: string): number {
  const value = number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number, 1 or above.')
  return value
}
