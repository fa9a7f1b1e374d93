import shipped from './templates.json'

/** The names of the chat templates that come with this package. Written out: a type read off JSON puts the JSON into the .d.ts file. */
export type TemplateName =
  | 'chatml'
  | 'zephyr'
  | 'openchat'
  | 'llama-2'
  | 'llama-3.1'
  | 'mistral-instruct'
  | 'alpaca'
  | 'vicuna'
  | 'gemma'
  | 'phi-3'
  | 'plain'

const templates: Record<TemplateName, { about: string; lines: string[] }> = shipped

/**
 * Chat templates of our own for the common formats, by name. All mark what the assistant writes, end-of-turn token
 * included, with `{% generation %}`; transformers and vLLM read them as they are.
 */
export const chatTemplates = Object.fromEntries(
  Object.entries(templates).map(([name, { lines }]) => [name, lines.join('\n')]),
) as Record<TemplateName, string>

/** One line on what each template is for. */
export const chatTemplateNotes = Object.fromEntries(
  Object.entries(templates).map(([name, { about }]) => [name, about]),
) as Record<TemplateName, string>
