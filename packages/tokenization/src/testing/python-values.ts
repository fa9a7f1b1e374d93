import { Float } from '../chat/jinja/values/float'

/** Variables from a golden file, where `{"$float": "20.0"}`, `{"$int": "9007199254740993"}` and `{"$dict": [...]}` say what JSON cannot. */
export function fromTagged(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromTagged)
  if (typeof value !== 'object' || value === null) return value
  if ('$float' in value) return new Float(value.$float)
  if ('$int' in value) return BigInt(value.$int as string)
  if ('$dict' in value)
    return new Map((value.$dict as [string, unknown][]).map(([key, item]) => [key, fromTagged(item)]))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromTagged(item)]))
}
