import { showTable } from './show'

const text = (value: unknown) => (Array.isArray(value) ? value.join(', ') : String(value ?? '–'))

/**
 * Shows what this run does beside what the full run does; only rows that say something.
 *
 * @param full every setting of the full run.
 * @param changed what this run replaces.
 * @returns the settings of this run.
 */
export function showSettings<Settings extends object>(full: Settings, changed: Partial<Settings>): Settings {
  const used = { ...full, ...changed }
  const same = Object.keys(changed).length === 0
  const rows = Object.entries(used).map(([key, value]) => [
    key,
    text((full as Record<string, unknown>)[key]),
    ...(same ? [] : [Object.hasOwn(changed, key) ? text(value) : 'same']),
  ])
  showTable(['setting', 'full run', ...(same ? [] : ['this run'])], rows)
  return used
}
