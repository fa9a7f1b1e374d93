import { join } from 'node:path'
import { writeFileAtomic } from '@tunesmith/core'
import type { TokenizerState } from '../tokenizer-state'

/**
 * Writes the tokenizer's files in the layout transformers 5 reads (and 4): the roles go to tokenizer_config.json and
 * special_tokens_map.json, the template to chat_template.jinja, named templates to additional_chat_templates/.
 */
export async function saveTokenizer(tokenizer: TokenizerState, folder: string): Promise<void> {
  const { chat_template: _, ...config } = tokenizer.config
  const { roles, additional, named } = tokenizer.specialTokens
  Object.assign(config, roles)
  if (config.added_tokens_decoder)
    config.added_tokens_decoder = Object.fromEntries(tokenizer.json.added_tokens.map(({ id, ...token }) => [id, token]))
  const map: Record<string, unknown> = { ...roles, ...named }
  if (additional.length > 0) map.additional_special_tokens = additional
  const pretty = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`
  await writeFileAtomic(join(folder, 'tokenizer.json'), pretty(tokenizer.json))
  await writeFileAtomic(join(folder, 'tokenizer_config.json'), pretty(config))
  await writeFileAtomic(join(folder, 'special_tokens_map.json'), pretty(map))
  for (const [name, template] of Object.entries(tokenizer.chatTemplates))
    await writeFileAtomic(
      name === 'default'
        ? join(folder, 'chat_template.jinja')
        : join(folder, 'additional_chat_templates', `${name}.jinja`),
      template,
    )
}
