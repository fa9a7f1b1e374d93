import { z } from 'zod'

/** An object as it is: zod's records are copies, which would lose the text of numbers and the order of keys. */
const object = z.custom<Record<string, unknown>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'expected an object',
)

export const chatOptions = z.strictObject({
  /** End with the header that makes the model write an assistant's message. Default false. */
  addGenerationPrompt: z.boolean().default(false),
  /** Leave the last message open, so that the model goes on writing it. Default false. */
  continueFinalMessage: z.boolean().default(false),
  /**
   * End the assistant's last turn also where the template leaves that to the token of the next speaker (GLM's `<|user|>` and
   * `<|observation|>`), as training needs it. Default false.
   */
  closeLastTurn: z.boolean().default(false),
  /** JSON schemas of the functions the model may call. */
  tools: z.array(object).nullish(),
  /** Documents for retrieval, as the template wants them (usually `{title, text}`). */
  documents: z.array(object).nullish(),
  /** A template, or the name of one of the tokenizer's or of ours. Default: the tokenizer's `default`. */
  template: z.string().optional(),
  /** Further variables for the template. */
  variables: object.default({}),
})
export type ChatOptions = z.input<typeof chatOptions>
export type ParsedChatOptions = z.output<typeof chatOptions>
