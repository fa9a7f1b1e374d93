import { z } from 'zod'
import { chatOptions } from '../chat/options'

export const exampleOptions = z.strictObject({
  /**
   * Which tokens the loss sees. `completion`: those after the prompt (everything, for a row without a prompt).
   * `assistant`: what the assistant wrote, in every turn. `last-assistant`: its last turn only. `all`: every token.
   * Default: `completion` for rows with a prompt, `all` for the others, as in TRL.
   */
  lossOn: z.enum(['completion', 'assistant', 'last-assistant', 'all']).optional(),
  /** Append the EOS token to plain text that does not end with it. Default true. Chats end as their template says. */
  appendEos: z.boolean().default(true),
  /** Cut to this many tokens. Default: no limit. */
  maxLength: z.int().positive().optional(),
  /** What a cut keeps. Default `keep_start`. */
  truncationMode: z.enum(['keep_start', 'keep_end']).default('keep_start'),
  /**
   * What to do when a merge would cross from the prompt into the completion. `split` (the default) keeps the prompt's ids as
   * the model will see them and appends the completion's. `whole` keeps the ids of the whole text, as TRL does.
   */
  promptBoundary: z.enum(['split', 'whole']).default('split'),
  /** A chat template, or the name of one. Default: the tokenizer's. */
  template: chatOptions.shape.template,
  /** Further variables for the chat template. */
  variables: chatOptions.shape.variables,
})
export type ExampleOptions = z.input<typeof exampleOptions>
export type ParsedExampleOptions = z.output<typeof exampleOptions>
