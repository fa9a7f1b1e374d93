import type { AdaLoraConfigOptions } from './adapters/adalora/config'
import type { BottleneckConfigOptions } from './adapters/bottleneck'
import type { Ia3ConfigOptions } from './adapters/ia3'
import type { LoraConfigOptions } from './adapters/lora/config'
import type { PrefixTuningConfigOptions } from './adapters/prefix-tuning/prefix-tuning'
import type { PromptTuningConfigOptions } from './adapters/prompt-tuning'
import type { VeraConfigOptions } from './adapters/vera'

declare global {
  /**
   * The options of adapters that other code registers, by `peftType`, for TypeScript to check:
   * `declare global { interface TunesmithAdapters { MINE: MyOptions } }`.
   */
  interface TunesmithAdapters {}
}

/** What a caller may write for any kind of adapter; without `peftType`, LoRA. */
export type PeftConfigOptions =
  | LoraConfigOptions
  | AdaLoraConfigOptions
  | BottleneckConfigOptions
  | Ia3ConfigOptions
  | PrefixTuningConfigOptions
  | PromptTuningConfigOptions
  | VeraConfigOptions
  | TunesmithAdapters[keyof TunesmithAdapters]
