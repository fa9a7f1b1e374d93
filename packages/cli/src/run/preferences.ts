import { type Dataset, type ExampleRow, formatPreferences, formatUnpaired } from '@tunesmith/datasets'
import type { CausalLM } from '@tunesmith/models'
import type { PeftModel } from '@tunesmith/peft-lora'
import { type PreferenceAccuracy, preferenceAccuracy } from '@tunesmith/preference-trainer'
import type { Tokenizer } from '@tunesmith/tokenization'
import type { FineTuneConfig } from './config'

/** A config whose method learns from preferences. */
type PreferenceConfig = Extract<FineTuneConfig, { method: 'dpo' | 'kto' }>

export const isPreference = (config: FineTuneConfig): config is PreferenceConfig => config.method !== 'sft'

/** An example that is shown or answered, with the side of a preference that it is. */
export interface SideRow {
  side: 'chosen' | 'rejected' | 'good' | 'bad'
  example: ExampleRow
}

/** All answers of preference rows as examples of their own, those of a pair one after the other. */
export async function preferenceSides(dataset: Dataset, { method, training }: PreferenceConfig): Promise<SideRow[]> {
  const { style } = training
  if (method === 'kto') {
    const { dataset: rows } = await formatUnpaired(dataset, { style })
    return rows.toArray().map(({ label, ...example }) => ({ side: label ? 'good' : 'bad', example }))
  }
  const { dataset: pairs } = await formatPreferences(dataset, { style })
  return pairs.toArray().flatMap(({ chosen, rejected, ...row }) => [
    { side: 'chosen' as const, example: { ...row, completion: chosen } },
    { side: 'rejected' as const, example: { ...row, completion: rejected } },
  ])
}

/** Prompts of preference rows with the good answers, to be answered and compared with. */
export async function goodAnswers(dataset: Dataset, config: PreferenceConfig): Promise<ExampleRow[]> {
  const sides = await preferenceSides(dataset, config)
  return sides.flatMap(({ side, example }) => (side === 'chosen' || side === 'good' ? [example] : []))
}

/** How often each model finds the chosen answer of held-out pairs more likely. */
export interface PreferenceScores {
  /** The base model without any adapter, where training went on with one. */
  withoutAdapter?: PreferenceAccuracy
  /** What training began with. */
  base: PreferenceAccuracy
  tuned: PreferenceAccuracy
}

/** Measures a model on held-out pairs; undefined where the rows are none. */
export function pairMeasure(
  dataset: Dataset | undefined,
  tokenizer: Tokenizer,
  config: FineTuneConfig,
): ((model: CausalLM) => Promise<PreferenceAccuracy>) | undefined {
  const columns = Object.keys(config.dataset.columns ?? {})
  const isPairs = (name: string) => columns.includes(name) || dataset?.columns.includes(name)
  if (!dataset || !isPreference(config) || !isPairs('chosen') || !isPairs('rejected')) return undefined
  const { maxLength, style } = config.training
  return (model) => preferenceAccuracy(model, tokenizer, dataset, { maxLength, style })
}

/** What training begins with, measured with its adapter and without. */
export async function measureBefore(
  measure: (model: CausalLM) => Promise<PreferenceAccuracy>,
  model: CausalLM,
  peft: PeftModel | undefined,
): Promise<Omit<PreferenceScores, 'tuned'>> {
  const withoutAdapter = await peft?.withoutAdapter(() => measure(model))
  return { ...(withoutAdapter && { withoutAdapter }), base: await measure(model) }
}

export const WITHOUT_ADAPTER = 'base without its adapter'

const NAMES: Record<keyof PreferenceScores, string> = {
  withoutAdapter: WITHOUT_ADAPTER,
  base: 'base',
  tuned: 'tuned',
}

/** Each model's name, accuracy and margin. */
export const preferenceRows = (scores: PreferenceScores): [name: string, accuracy: string, margin: string][] =>
  (Object.keys(NAMES) as (keyof PreferenceScores)[]).flatMap((key) => {
    const score = scores[key]
    return score ? [[NAMES[key], `${(100 * score.accuracy).toFixed(1)}%`, score.margin.toFixed(3)]] : []
  })

/** The same for the report. */
export function preferenceTable(scores: PreferenceScores): string {
  const rows = preferenceRows(scores).map((cells) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`)
  return `<p>On ${scores.base.pairs} held-out pairs: how often the chosen answer is more likely per token than the rejected one, and by how much (nats).</p>
<table><thead><tr><th>model</th><th>accuracy</th><th>margin</th></tr></thead><tbody>${rows.join('')}</tbody></table>`
}
