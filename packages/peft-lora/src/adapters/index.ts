import type { Adapter } from '../adapter'
import { adaLora } from './adalora/adalora'
import { bottleneck } from './bottleneck'
import { ia3 } from './ia3'
import { lora } from './lora/lora'
import { prefixTuning } from './prefix-tuning/prefix-tuning'
import { promptTuning } from './prompt-tuning'
import { vera } from './vera'

/** The adapters that are always known. Inside, an adapter only ever meets configurations that its own schema made. */
export const builtinAdapters = [
  lora,
  ia3,
  promptTuning,
  prefixTuning,
  bottleneck,
  adaLora,
  vera,
] as unknown as readonly Adapter[]
