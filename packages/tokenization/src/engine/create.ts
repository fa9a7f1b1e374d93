import { BpeEngine, planBpe } from './bpe-engine'
import type { Engine } from './engine'
import { GeneralEngine } from './general-engine'
import { LibraryEngine, whyNotLibrary } from './library-engine'
import { checkModel } from './models/compile'
import { inexact, type Loading } from './read-step'
import type { TokenizerJson } from './tokenizer-json'

/**
 * The engine for a tokenizer.json: our fast one where it is exact, our general one everywhere else. Without `fast` it is the
 * library, which is given only what it is proven to do as Rust does.
 *
 * @throws {TunesmithError} `unsupported`, by name, for what none of them does exactly, or `invalid_file`.
 */
export function createEngine(
  json: TokenizerJson,
  tokenOf: (id: number) => string | undefined,
  fast: boolean,
  loading: Loading,
): Engine {
  checkModel(json.model, loading)
  // Whichever engine runs: this is where steps that nothing does exactly are refused.
  const general = new GeneralEngine(json, loading)
  const plan = planBpe(json)
  if (!fast) {
    const why = whyNotLibrary(json, plan)
    if (why !== undefined)
      throw inexact(`the library is not proven to be exact for ${why}`, loading.where, 'Leave fastEngine out')
    return new LibraryEngine(json, 'our own engines were switched off', loading.where)
  }
  return typeof plan === 'string' ? general.because(plan) : new BpeEngine(plan, tokenOf, general, loading.where)
}
