import { type StepJson, stepsOf } from './tokenizer-json'

/** The special tokens around one sequence, as the post-processor of a tokenizer.json puts them. */
export interface Frame {
  before: number[]
  after: number[]
}

type TemplateItem = { SpecialToken: { id: string } } | { Sequence: { id: string } }

/** Reads the frame out of the post-processors; each of a Sequence wraps what those before it made. */
export function frameOf(json: StepJson | null): Frame {
  const frame: Frame = { before: [], after: [] }
  for (const step of stepsOf(json, 'processors')) {
    if (step.type === 'TemplateProcessing') {
      const special = step.special_tokens as Record<string, { ids: number[] }>
      const items = step.single as TemplateItem[]
      const at = items.findIndex((item) => 'Sequence' in item)
      const ids = (list: TemplateItem[]) =>
        list.flatMap((item) => ('SpecialToken' in item ? (special[item.SpecialToken.id]?.ids ?? []) : []))
      frame.before.unshift(...ids(items.slice(0, at)))
      frame.after.push(...ids(items.slice(at + 1)))
    } else if (step.type === 'BertProcessing' || step.type === 'RobertaProcessing') {
      frame.before.unshift((step.cls as [string, number])[1])
      frame.after.push((step.sep as [string, number])[1])
    }
  }
  return frame
}
