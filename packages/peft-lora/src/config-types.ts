/**
 * The options of one kind of adapter each, by `peftType`. A package that registers an adapter adds its own by
 * declaration merging: `declare module '@tunesmith/peft-lora' { interface PeftConfigTypes { MINE: MyOptions } }`.
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging, ours too
export interface PeftConfigTypes {}

/** What a caller may write for any kind of adapter; without `peftType`, LoRA. */
export type PeftConfigOptions = PeftConfigTypes[keyof PeftConfigTypes]
