import { z } from 'zod'
import { id, inexact, type Loading, readSequence, readStep } from './read-step'
import type { StepJson } from './tokenizer-json'

/** The special tokens around one sequence, as the post-processor of a tokenizer.json puts them. */
export interface Frame {
  before: number[]
  after: number[]
}

/** What the post-processors of a tokenizer.json make of one sequence. */
export interface PostProcessor {
  frame: Frame
  /** How many tokens the steps say they add, which truncation leaves room for. Steps after a template may add more. */
  added: number
  /** What is cut off the offsets, in turn; empty where they stay as they are. */
  trims: OffsetTrim[]
}

/** How a ByteLevel or RobertaProcessing step takes the white space out of the offsets. */
export interface OffsetTrim {
  addPrefixSpace: boolean
  /** How many tokens stand before the sequence where the step sees it: only the very first may keep a space of its own. */
  index: number
}

/** A list of ids with the place of the sequence in it, if it is there. A step may make several of one. */
interface Part {
  before: number[]
  after: number[]
  text: boolean
}

const PLACE = 'post_processor'
const namedId = z.tuple([z.string(), id])
const templateItem = z.union([
  z.strictObject({ SpecialToken: z.strictObject({ id: z.string(), type_id: id }) }),
  z.strictObject({ Sequence: z.strictObject({ id: z.enum(['A', 'B']), type_id: id }) }),
])
const templateToken = z.object({ id: z.string(), ids: z.array(id), tokens: z.array(z.string()) })

/** @throws {TunesmithError} `unsupported` by name, or `invalid_file`. */
export function compilePostProcessors(json: StepJson | null, loading: Loading): PostProcessor {
  const trims: OffsetTrim[] = []
  let added = 0
  let parts: Part[] = [{ before: [], after: [], text: true }]
  const apply = (step: StepJson): void => {
    const read = <Shape extends z.ZodRawShape>(shape: Shape) => readStep(step, shape, PLACE, loading)
    const trim = (addPrefixSpace: boolean) => {
      for (const part of parts) if (part.text) trims.push({ addPrefixSpace, index: part.before.length })
    }
    switch (step.type) {
      case 'Sequence':
        for (const inner of readSequence(step, 'processors', PLACE, loading)) apply(inner)
        return
      case 'ByteLevel': {
        const flags = read({
          add_prefix_space: z.boolean(),
          trim_offsets: z.boolean(),
          use_regex: z.boolean().default(true),
        })
        if (flags.trim_offsets) trim(flags.add_prefix_space)
        return
      }
      case 'BertProcessing': {
        const { cls, sep } = read({ cls: namedId, sep: namedId })
        added += 2
        parts = parts.map((part, i) => around(part, i === 0 ? [cls[1]] : [], [sep[1]]))
        return
      }
      case 'RobertaProcessing': {
        const shape = { cls: namedId, sep: namedId, trim_offsets: z.boolean(), add_prefix_space: z.boolean() }
        const { cls, sep, trim_offsets, add_prefix_space } = read(shape)
        if (trim_offsets) trim(add_prefix_space)
        added += 2
        parts = parts.map((part, i) => around(part, [i === 0 ? cls[1] : sep[1]], [sep[1]]))
        return
      }
      case 'TemplateProcessing':
        parts = template(step, parts, loading, (count) => {
          added += count
        })
        return
      default:
        throw inexact(`post-processor ${step.type}`, loading.where)
    }
  }
  if (json !== null) apply(json)
  const at = parts.findIndex((part) => part.text)
  if (at === -1 || parts.filter((part) => part.text).length > 1)
    throw inexact('a post-processor that leaves the text out or repeats it', loading.where)
  const ids = (list: Part[]) => list.flatMap((part) => [...part.before, ...part.after])
  const frame = {
    before: [...ids(parts.slice(0, at)), ...parts[at]!.before],
    after: [...parts[at]!.after, ...ids(parts.slice(at + 1))],
  }
  return { frame, added, trims }
}

function around(part: Part, before: number[], after: number[]): Part {
  return { ...part, before: [...before, ...part.before], after: [...part.after, ...after] }
}

/** Each item of a template is a list of its own for the steps after it. */
function template(step: StepJson, parts: Part[], loading: Loading, add: (count: number) => void): Part[] {
  const { single, pair, special_tokens } = readStep(
    step,
    { single: z.array(templateItem), pair: z.array(templateItem), special_tokens: z.record(z.string(), templateToken) },
    PLACE,
    loading,
  )
  if (parts.length > 2)
    throw inexact('a template after a post-processor that makes three parts of a text', loading.where)
  for (const item of single) {
    const id = 'SpecialToken' in item ? item.SpecialToken.id : undefined
    if (id !== undefined && Object.hasOwn(special_tokens, id)) add(special_tokens[id]!.ids.length)
  }
  return (parts.length === 1 ? single : pair).map((item) => {
    if ('Sequence' in item) {
      const part = parts[item.Sequence.id === 'A' ? 0 : 1]
      if (part === undefined) throw inexact('a template for one text that asks for a second', loading.where)
      return part
    }
    const token = Object.hasOwn(special_tokens, item.SpecialToken.id) && special_tokens[item.SpecialToken.id]
    if (!token)
      throw inexact(
        `a template with the special token ${JSON.stringify(item.SpecialToken.id)}, which it does not define`,
        loading.where,
      )
    return { before: token.ids, after: [], text: false }
  })
}
