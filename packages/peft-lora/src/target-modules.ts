import { TunesmithError } from '@tunesmith/core'
import type { CausalLM, LinearModule } from '@tunesmith/models'
import type { LoraConfig } from './lora-config'

/** What PEFT adapts when `targetModules` is not given; the same for every architecture here. */
const DEFAULT_TARGETS = ['q_proj', 'v_proj']

/** A list matches whole names or suffixes, a string is a regular expression over the whole name (PEFT's rule). */
function matches(name: string, pattern: string | readonly string[]): boolean {
  if (typeof pattern === 'string') return new RegExp(`^(?:${pattern})$`).test(name)
  return pattern.some((suffix) => name === suffix || name.endsWith(`.${suffix}`))
}

/** The value of the first pattern that a module's name ends with, as in PEFT's `rank_pattern`. */
export function patternValue(name: string, patterns: Record<string, number>, fallback: number): number {
  const key = Object.keys(patterns).find((pattern) => new RegExp(`(.*\\.)?(${pattern})$`).test(name))
  return key === undefined ? fallback : patterns[key]!
}

/** The `targetModules` that take effect, as they are saved. */
export function effectiveTargets(model: CausalLM, { targetModules }: LoraConfig): string | string[] {
  if (targetModules === undefined) return DEFAULT_TARGETS
  // PEFT saves the suffixes that "all-linear" stood for.
  if (targetModules === 'all-linear')
    return [...new Set(model.decoderLinears().map(({ name }) => name.slice(name.lastIndexOf('.') + 1)))]
  return targetModules
}

/**
 * The linear layers a configuration adapts, in the model's order.
 *
 * @throws {TunesmithError} `invalid_options` when it matches none, or when one of several names matches none.
 */
export function targetedModules(model: CausalLM, config: LoraConfig): LinearModule[] {
  const targets = effectiveTargets(model, config)
  const layers = config.layersToTransform === undefined ? undefined : [config.layersToTransform].flat()
  const candidates = config.targetModules === 'all-linear' ? model.decoderLinears() : [...model.linears.values()]
  const found = candidates.filter(({ name }) => {
    if (!matches(name, targets)) return false
    if (config.excludeModules && matches(name, config.excludeModules)) return false
    const layer = /\.layers\.(\d+)\./.exec(name)?.[1]
    return !layers || (layer !== undefined && layers.includes(Number(layer)))
  })
  const suffixes = [...new Set(candidates.map(({ name }) => name.slice(name.lastIndexOf('.') + 1)))]
  const unmatched = Array.isArray(targets)
    ? targets.filter((target) => !candidates.some(({ name }) => matches(name, [target])))
    : []
  if (found.length === 0 || unmatched.length > 0)
    throw new TunesmithError(
      `targetModules ${JSON.stringify(unmatched.length ? unmatched : targets)} match no linear layer`,
      {
        code: 'invalid_options',
        remedy: `The model has ${suffixes.join(', ')}; "all-linear" takes all of them but the head`,
      },
    )
  return found
}
