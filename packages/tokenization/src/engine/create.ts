import { BpeEngine, planBpe } from './bpe-engine'
import type { Engine } from './engine'
import { LibraryEngine } from './library-engine'
import type { TokenizerJson } from './tokenizer-json'

/** Our own engine where it is exact for this tokenizer.json, and the library everywhere else. */
export function createEngine(
  json: TokenizerJson,
  tokenOf: (id: number) => string | undefined,
  fast: boolean,
  where: string,
): Engine {
  const plan = fast ? planBpe(json) : 'our own engine was switched off'
  return typeof plan === 'string' ? new LibraryEngine(json, plan, where) : new BpeEngine(plan, tokenOf, where)
}
