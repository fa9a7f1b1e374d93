import { invalidOptions, parseOptions, unsupported } from '@tunesmith/core'
import type { Adapter, AdapterConfig, SharedParts } from './adapter'
import { builtinAdapters } from './adapters'
import type { PeftConfigOptions } from './config-types'

const adapters = new Map<string, Adapter>(builtinAdapters.map((adapter) => [adapter.peftType, adapter]))

/**
 * Makes a kind of adapter known under its `peftType`, for `getPeftModel` and for files.
 *
 * @returns the adapter, for `export const myAdapter = registerAdapter({ ... })`.
 * @throws {TunesmithError} `invalid_options` when another adapter has that type.
 */
export function registerAdapter<Config extends AdapterConfig, Shared extends SharedParts | undefined>(
  adapter: Adapter<Config, Shared>,
): Adapter<Config, Shared> {
  const known = adapters.get(adapter.peftType)
  if (known && known !== (adapter as unknown))
    throw invalidOptions(`There is an adapter of type ${adapter.peftType} already`, {
      where: 'registerAdapter',
      remedy: 'Choose another peftType',
    })
  // Inside, an adapter only ever meets configurations that its own schema made.
  adapters.set(adapter.peftType, adapter as unknown as Adapter)
  return adapter
}

/** The types of adapters that are known, e.g. `LORA`. */
export function adapterTypes(): string[] {
  return [...adapters.keys()]
}

/** @throws {TunesmithError} `unsupported` for a type nobody has registered. */
export function adapterOf(peftType: unknown, where: string): Adapter {
  const adapter = adapters.get(String(peftType))
  if (adapter) return adapter
  throw unsupported(`The adapter is of type ${String(peftType)}`, {
    where,
    remedy: `Known types are ${adapterTypes().join(', ')}; registerAdapter adds others`,
  })
}

/**
 * Checks the options of an adapter and fills in the defaults.
 *
 * @throws {TunesmithError} `unsupported` for an unknown `peftType`, `invalid_options` naming each wrong key.
 */
export function peftConfig(options: PeftConfigOptions, where?: string): AdapterConfig {
  const { peftType = 'LORA' } = options as { peftType?: string }
  return parseOptions(adapterOf(peftType, where ?? 'peftConfig').schema, options, where ?? `${peftType} config`)
}
