import { invalidOptions, pythonFullMatch, pythonMatch } from '@tunesmith/core'
import type { CausalLM } from '@tunesmith/models'
import { z } from 'zod'
import type { AdaptableModule, AdapterConfig } from './adapter'

/** Options that say which modules are adapted; an adapter spreads them into its schema. */
export const targetOptions = {
  /**
   * Which modules: suffixes (`q_proj`), one regular expression over whole names, or `all-linear` (all linear layers but
   * the head). Default: the usual ones of the architecture.
   */
  targetModules: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  /** Left out again: suffixes, or one regular expression. */
  excludeModules: z.union([z.string(), z.array(z.string())]).optional(),
  /** Only these decoder layers. Not together with a regular expression. Default all. */
  layersToTransform: z.union([z.number().int(), z.array(z.number().int())]).optional(),
  /** Name of the list of layers that `layersToTransform` counts (`layers`). Default: any. */
  layersPattern: z.union([z.string(), z.array(z.string())]).optional(),
}

/** `all-linear`, in any case of letters. */
const isAllLinear = (targets: string | string[] | undefined) =>
  typeof targets === 'string' && targets.toLowerCase() === 'all-linear'

/** A list matches whole names or suffixes, a string is a regular expression over the whole name (PEFT's rule). */
export function matchesModule(name: string, pattern: string | readonly string[]): boolean {
  if (typeof pattern === 'string') return pythonFullMatch(pattern, name, 'targetModules')
  return pattern.some((suffix) => name === suffix || name.endsWith(`.${suffix}`))
}

/**
 * The value of the first pattern that is a module's name, or what follows a point in it: PEFT's `rank_pattern`. `1.q_proj` is not an end of
 * `11.q_proj`.
 */
export function patternValue(name: string, patterns: Record<string, number>, fallback: number): number {
  const around = { where: 'rankPattern, alphaPattern', before: '(?:.*\\.)?', after: '$' }
  const key = Object.keys(patterns).find((pattern) => pythonMatch(pattern, name, around) !== undefined)
  return key === undefined ? fallback : patterns[key]!
}

/** The last parts of the names of modules, like `q_proj`. */
export const suffixesOf = (modules: readonly { name: string }[]): string[] => [
  ...new Set(modules.map(({ name }) => name.slice(name.lastIndexOf('.') + 1))),
]

/** Names of layers that make queries, keys and values in one product. */
const TOGETHER = ['qkv_proj', 'c_attn', 'query_key_value']

/** What LoRA and its kin adapt when `targetModules` is not given: queries and values, together where they are one matrix. */
export function queryAndValue(model: CausalLM): string[] {
  const together = suffixesOf(model.decoderLinears()).filter((suffix) => TOGETHER.includes(suffix))
  return together.length > 0 ? together : ['q_proj', 'v_proj']
}

/** The `targetModules` that take effect, as they are saved. */
export function effectiveTargets(
  model: CausalLM,
  { targetModules }: AdapterConfig,
  defaultTargets: (model: CausalLM) => string[] = queryAndValue,
): string | string[] {
  if (targetModules === undefined) return defaultTargets(model)
  // PEFT saves the suffixes that "all-linear" stood for.
  return isAllLinear(targetModules) ? suffixesOf(model.decoderLinears()) : targetModules
}

/** The number behind an expression. It is the last group, whatever groups the expression has. */
function indexAfter(pattern: string, before: string, name: string): number | undefined {
  const found = pythonMatch(pattern, name, { where: 'layersPattern', before, after: '\\.(\\d+)\\.' })
  return found && Number(found.at(-1))
}

/** The index of the decoder layer a name lies in, counted in the list that `layersPattern` names. */
function layerIndex(name: string, layersPattern: string | string[] | undefined): number | undefined {
  const patterns = layersPattern === undefined ? [] : [layersPattern].flat().filter((pattern) => pattern !== '')
  if (patterns.length === 0) return indexAfter('[^.]*', '.*?\\.', name)
  for (const pattern of patterns) {
    const found = indexAfter(pattern, '(?:.*?\\.)?', name)
    if (found !== undefined) return found
  }
  return undefined
}

/** Modules that are trained whole are not adapted as well. */
const isSaved = (name: string, modulesToSave: string[] | undefined) =>
  modulesToSave?.some((module) =>
    pythonMatch(module, name, { where: 'modulesToSave', before: '(?:.*\\.)?', after: '(?:$|\\..*)' }),
  ) ?? false

interface TargetOptions {
  /** The token embeddings may be named too. Default false. */
  embeddings?: boolean
  /** The adapter is in a file, whose tensors decide: names that match nothing are names of other models. Default false. */
  loading?: boolean
  defaultTargets?: ((model: CausalLM) => string[]) | undefined
}

/**
 * The modules a configuration adapts, in the model's order.
 *
 * @throws {TunesmithError} `invalid_options` when it matches none, or when one of several names matches none.
 */
export function targetedModules(
  model: CausalLM,
  config: AdapterConfig,
  { embeddings = false, loading = false, defaultTargets }: TargetOptions = {},
): AdaptableModule[] {
  const { targetModules, excludeModules, layersToTransform, layersPattern, modulesToSave } = config
  const wrong = (what: string) => invalidOptions(what, { where: 'targetModules' })
  if (layersPattern !== undefined && layersToTransform === undefined)
    throw wrong('layersPattern needs layersToTransform')
  const allLinear = isAllLinear(targetModules)
  if (typeof targetModules === 'string' && !allLinear && layersToTransform !== undefined)
    throw wrong('layersToTransform cannot be used with a regular expression')
  const targets = effectiveTargets(model, config, defaultTargets)
  const layers = layersToTransform === undefined ? [] : [layersToTransform].flat()
  const candidates: AdaptableModule[] = allLinear
    ? model.decoderLinears()
    : [...(embeddings ? [model.embedTokens] : []), ...model.linears.values()]
  const found = candidates.filter(({ name }) => {
    if (!matchesModule(name, targets) || isSaved(name, modulesToSave)) return false
    if (excludeModules && matchesModule(name, excludeModules)) return false
    return layers.length === 0 || layers.includes(layerIndex(name, layersPattern) ?? -1)
  })
  const unmatched = Array.isArray(targets)
    ? targets.filter((target) => !candidates.some(({ name }) => matchesModule(name, [target])))
    : []
  if (found.length === 0 || (unmatched.length > 0 && !loading))
    throw invalidOptions(
      `targetModules ${JSON.stringify(unmatched.length ? unmatched : targets)} match no linear layer`,
      { remedy: `The model has ${suffixesOf(candidates).join(', ')}; "all-linear" takes all of them but the head` },
    )
  return found
}
