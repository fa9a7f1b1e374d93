import shipped from './templates.json'

/** The names of the chat templates that come with this package. */
export type TemplateName = keyof typeof shipped

/**
 * Chat templates of our own for the common formats, by name. All mark what the assistant writes, end-of-turn token
 * included, with `{% generation %}`; transformers and vLLM read them as they are.
 */
export const chatTemplates = Object.fromEntries(
  Object.entries(shipped).map(([name, { lines }]) => [name, lines.join('\n')]),
) as Record<TemplateName, string>

/** One line on what each template is for. */
export const chatTemplateNotes = Object.fromEntries(
  Object.entries(shipped).map(([name, { about }]) => [name, about]),
) as Record<TemplateName, string>
