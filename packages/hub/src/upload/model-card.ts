import { parseOptions } from '@tunesmith/core'
import { z } from 'zod'
import { isRepoId } from '../connection/repo'
import { toYaml, type Yaml } from './yaml'

const value = z.union([z.string(), z.number(), z.boolean(), z.array(z.union([z.string(), z.number()]))])

const schema = z.strictObject({
  /** Heading. */
  title: z.string().min(1),
  /** A paragraph or more of Markdown on what it is, what it is for and what not. */
  description: z.string().optional(),
  /** The Hub id (or the folder) of the model that was fine-tuned. */
  baseModel: z.string().optional(),
  /** What it is of the base model. Default `adapter`. */
  relation: z.enum(['adapter', 'finetune', 'merge', 'quantized']).default('adapter'),
  /** Method for the text and the tags, such as `LoRA`. */
  method: z.string().optional(),
  /** Hub ids of the training data; others are named in the text only. */
  datasets: z.array(z.string()).default([]),
  /** Where the data comes from, how much of it, how it was prepared: Markdown. */
  dataDescription: z.string().optional(),
  /** ISO codes, such as `en`. */
  language: z.array(z.string()).default([]),
  /** A licence id of the Hub, such as `apache-2.0`, `llama3.1`, or `other`. */
  license: z.string().optional(),
  /** With `other`: its name, and the file or address of its text. */
  licenseName: z.string().optional(),
  licenseLink: z.string().optional(),
  /** Rows of the table of hyperparameters. */
  hyperparameters: z.record(z.string(), value).default({}),
  /** Results on held-out data. */
  metrics: z
    .array(
      z.strictObject({
        /** Name, such as `rougeL`. */
        name: z.string(),
        value: z.number(),
        /** Hub id or name of the data set it was measured on. */
        dataset: z.string().optional(),
        split: z.string().optional(),
        /** The base model's value, for comparison. */
        base: z.number().optional(),
      }),
    )
    .default([]),
  /** Further tags. */
  tags: z.array(z.string()).default([]),
  /** The repository the card is for, for the example of use. */
  repoId: z.string().optional(),
})

/** What a model card says. */
export type ModelCardOptions = z.input<typeof schema>
type Card = z.output<typeof schema>

const KINDS = {
  adapter: ['an adapter for', 'peft'],
  finetune: ['a fine-tuned version of', 'transformers'],
  merge: ['a fine-tuned version (the adapter merged) of', 'transformers'],
  quantized: ['a quantized version of', 'transformers'],
} as const

/** Text in one cell of a table. */
function cell(text: unknown): string {
  const plain = Array.isArray(text) ? text.join(', ') : String(text)
  return plain.replace(/[\\|]/g, '\\$&').replace(/\s*[\r\n]+\s*/g, ' ')
}

/** `[name](link)` when the Hub has a page for it, the name as code otherwise. */
function linked(name: string, kind: '' | 'datasets/'): string {
  return isRepoId(name) ? `[${name}](https://huggingface.co/${kind}${name})` : `\`${name.replaceAll('`', "'")}\``
}

function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const line = (cells: readonly unknown[]) => `| ${cells.map(cell).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** The metadata at the top, which the Hub reads (hub-docs, modelcard.md): fields it would refuse are left out. */
function frontMatter(card: Card): string {
  const result = (metric: Card['metrics'][number]): Yaml => ({
    task: { type: 'text-generation' },
    dataset: { name: metric.dataset ?? 'held-out rows', type: metric.dataset ?? 'custom', split: metric.split },
    metrics: [{ type: metric.name, value: metric.value, name: metric.name }],
  })
  return toYaml({
    library_name: KINDS[card.relation][1],
    pipeline_tag: 'text-generation',
    base_model: card.baseModel !== undefined && isRepoId(card.baseModel) ? card.baseModel : undefined,
    base_model_relation: card.baseModel !== undefined && isRepoId(card.baseModel) ? card.relation : undefined,
    datasets: card.datasets.filter(isRepoId),
    language: card.language,
    license: card.license,
    license_name: card.licenseName,
    license_link: card.licenseLink,
    tags: [...new Set(['tunesmith', ...(card.method ? [card.method.toLowerCase()] : []), ...card.tags])],
    'model-index': card.metrics.length > 0 ? [{ name: card.title, results: card.metrics.map(result) }] : undefined,
  })
}

/** How to load it, for readers of TypeScript and of Python. */
function usage({ relation, repoId, baseModel }: Card): string {
  const id = JSON.stringify(repoId ?? 'your-name/this-model')
  const loader = relation === 'adapter' ? 'AutoPeftModelForCausalLM' : 'AutoModelForCausalLM'
  const python = `from ${KINDS[relation][1]} import ${loader}\n\nmodel = ${loader}.from_pretrained(${id})`
  // An adapter names its base model itself, unless that was a folder on somebody's machine.
  const base = relation === 'adapter' && !(baseModel && isRepoId(baseModel)) ? ' --base BASE_MODEL' : ''
  const shell = `npx tunesmith chat ${repoId ?? 'your-name/this-model'}${base}`
  return `\`\`\`sh\n${shell}\n\`\`\`\n\n\`\`\`python\n${python}\n\`\`\``
}

/**
 * A model card: the README.md of a repository, with the metadata that the Hub shows and searches, and what a reader
 * needs to judge the model. Facts that are not given are not claimed; the sections for them say so.
 *
 * @throws {TunesmithError} `invalid_options`.
 */
export function modelCard(options: ModelCardOptions): string {
  const card = parseOptions(schema, options, 'modelCard')
  const base = card.baseModel === undefined ? 'a language model' : linked(card.baseModel, '')
  const method = card.method ? ` with ${card.method}` : ''
  const withBase = card.metrics.some((metric) => metric.base !== undefined)
  const data = [
    card.datasets.map((name) => `- ${linked(name, 'datasets/')}`).join('\n'),
    card.dataDescription ?? (card.datasets.length > 0 ? '' : 'Not described.'),
  ]
  const licence = card.license
    ? `\`${card.license}\`${card.licenseName ? ` (${card.licenseName})` : ''}${card.licenseLink ? `: ${card.licenseLink}` : ''}. The terms of the base model apply as well.`
    : 'Not stated. The terms of the base model apply in any case.'
  const sections: [string, string][] = [
    ['Use', usage(card)],
    ['Training data', data.filter(Boolean).join('\n\n')],
    [
      'Training',
      Object.keys(card.hyperparameters).length > 0
        ? table(['hyperparameter', 'value'], Object.entries(card.hyperparameters))
        : 'Hyperparameters not recorded.',
    ],
    [
      'Evaluation',
      card.metrics.length > 0
        ? table(
            ['metric', 'data', 'value', ...(withBase ? ['base model'] : [])],
            card.metrics.map(({ name, dataset, split, value: result, base: before }) => [
              name,
              [dataset ?? 'held-out rows', split].filter(Boolean).join(', '),
              result,
              ...(withBase ? [before ?? ''] : []),
            ]),
          )
        : 'Not measured.',
    ],
    ['Licence', licence],
  ]
  const intro = `This is ${KINDS[card.relation][0]} ${base}, trained${method} with [Tunesmith](https://www.npmjs.com/package/tunesmith).`
  return [
    `---\n${frontMatter(card)}---`,
    `# ${card.title.replace(/\s*[\r\n]+\s*/g, ' ')}`,
    intro,
    ...(card.description ? [card.description] : []),
    ...sections.map(([heading, text]) => `## ${heading}\n\n${text}`),
  ]
    .join('\n\n')
    .concat('\n')
}
