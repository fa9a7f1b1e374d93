import type { Sampling } from './api'
import { remember, type Store } from './storage'

export interface Settings {
  /** Instructions that stand before every conversation. */
  system: string
  sampling: Sampling
  theme: 'system' | 'light' | 'dark'
}

export const DEFAULTS: Settings = { system: '', sampling: {}, theme: 'system' }

/** The fields of sampling with their limits, as the server has them. */
export const SAMPLING: {
  name: keyof Sampling
  label: string
  min: number
  max?: number
  step: number
  help: string
}[] = [
  { name: 'temperature', label: 'Temperature', min: 0, max: 2, step: 0.05, help: '0 always takes the likeliest word' },
  { name: 'top_p', label: 'Top p', min: 0.01, max: 1, step: 0.01, help: 'the likeliest words, up to this share' },
  { name: 'top_k', label: 'Top k', min: 0, step: 1, help: 'the likeliest so many words; 0 for all' },
  { name: 'max_tokens', label: 'Longest answer', min: 1, step: 1, help: 'in tokens' },
  { name: 'seed', label: 'Seed', min: 0, max: 2 ** 31 - 1, step: 1, help: 'the same answer again' },
]

const KEY = 'tunesmith.settings'

export function loadSettings(store: Pick<Store, 'getItem'>): Settings {
  try {
    const { system, sampling, theme } = JSON.parse(store.getItem(KEY) ?? '{}')
    const known = SAMPLING.filter(({ name }) => Number.isFinite(sampling?.[name])).map(({ name }) => [
      name,
      sampling[name],
    ])
    return {
      system: typeof system === 'string' ? system : '',
      sampling: Object.fromEntries(known),
      theme: theme === 'light' || theme === 'dark' ? theme : 'system',
    }
  } catch {
    return DEFAULTS
  }
}

export const saveSettings = (store: Pick<Store, 'setItem'>, settings: Settings) =>
  remember(store, KEY, JSON.stringify(settings))
