import { Option } from '@commander-js/extra-typings'
import { invalidOptions } from '@tunesmith/core'
import type { CausalLM } from '@tunesmith/models'
import { TEMPLATE_NAMES } from '../run/config'

// Options that several commands have.

export const baseOption = () => new Option('--base <model>', 'base model of an adapter, when it has moved')

export const in4bitOption = () =>
  new Option('--load-in-4bit', 'quantize the base model to NF4 while it is read, as for QLoRA')

export const overwriteOption = () => new Option('--overwrite', 'replace what is in the output folder')

export const chatTemplateOption = () =>
  new Option('--chat-template <name>', 'a built-in chat template, for a base model without its own').choices(
    TEMPLATE_NAMES,
  )

/** @throws {TunesmithError} `invalid_options` when an answer would leave no room for its prompt. */
export function checkAnswerLength({ config }: CausalLM, maxNewTokens: number): void {
  const context = config.maxPositionEmbeddings
  if (maxNewTokens >= context)
    throw invalidOptions(
      `An answer of ${maxNewTokens} tokens leaves no room for a prompt: the model's context has ${context}`,
      { where: '--max-new-tokens', remedy: `Choose less than ${context}` },
    )
}
