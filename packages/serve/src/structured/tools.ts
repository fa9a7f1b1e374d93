import type { Tokenizer } from '@tunesmith/tokenization'
import { newId } from '../answers'
import { badRequest } from '../errors'
import type { ChatRequest } from '../requests'

/** A call of a function, as OpenAI has it. */
export interface ToolCall {
  id: string
  type: 'function'
  function: { name: string; arguments: string }
}

/** How a model that was trained on it writes calls. */
interface Writing {
  /** What stands before the JSON of the first call, where the answer is to be one. */
  before: string
  /** How the name of a function and its arguments are called. */
  argumentsKey: 'arguments' | 'parameters'
  /** What no text of an answer begins with unless it calls. */
  opens: readonly string[]
  /** Takes the calls out of an answer: the JSON of each, and the text without them. */
  split(text: string): { calls: unknown[]; text: string }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const WRITINGS: { of: RegExp; writing: Writing }[] = [
  {
    // Hermes, Qwen 2.5 and 3: each call inside a tag of its own.
    of: /<tool_call>/,
    writing: {
      before: '<tool_call>\n',
      argumentsKey: 'arguments',
      opens: ['<tool_call>'],
      split(text) {
        const calls: unknown[] = []
        const rest = text.replace(/<tool_call>\s*([\s\S]*?)\s*(?:<\/tool_call>|$)/g, (whole, json: string) => {
          const call = parsed(json)
          if (call === undefined) return whole
          calls.push(call)
          return ''
        })
        return { calls, text: rest }
      },
    },
  },
  {
    // Mistral: a list behind a token that is no part of the text.
    of: /\[TOOL_CALLS\]/,
    writing: {
      before: '[TOOL_CALLS] [',
      argumentsKey: 'arguments',
      opens: ['[{', '[TOOL_CALLS]'],
      split(text) {
        const calls = parsed(text.replace(/^\s*\[TOOL_CALLS\]/, '').trim())
        return Array.isArray(calls) ? { calls, text: '' } : { calls: [], text }
      },
    },
  },
  {
    // Llama 3.1 and later: the answer is the call.
    of: /"parameters"/,
    writing: {
      before: '',
      argumentsKey: 'parameters',
      opens: ['{', '<|python_tag|>'],
      split(text) {
        const call = parsed(text.replace(/^\s*<\|python_tag\|>/, '').trim())
        return call === undefined ? { calls: [], text } : { calls: [call], text: '' }
      },
    },
  },
]

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The tools of a request, and how its model calls them. */
export class Tools {
  readonly #functions: NonNullable<ChatRequest['tools']>[number]['function'][]
  readonly #writing: Writing
  /** The functions that the answer must call one of; none where it need not. */
  readonly #required: readonly string[]
  readonly #several: boolean

  /**
   * @returns undefined where the answer calls nothing.
   * @throws {RequestError} 400 for a model that knows no tools, a name that is given twice, or a choice that is none.
   */
  static of(
    {
      tools,
      tool_choice: choice,
      parallel_tool_calls: parallel,
      response_format: format,
    }: Pick<ChatRequest, 'tools' | 'tool_choice' | 'parallel_tool_calls' | 'response_format'>,
    tokenizer: Tokenizer,
  ): Tools | undefined {
    const wanted = choice ?? (tools?.length ? 'auto' : 'none')
    if (!tools?.length) {
      if (wanted === 'none' || wanted === 'auto') return undefined
      throw badRequest('tool_choice asks for a call, and there are no tools', 'invalid_value', 'tool_choice')
    }
    const names = tools.map(({ function: { name } }) => name)
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice !== undefined) throw badRequest(`There are two tools ${JSON.stringify(twice)}`, 'invalid_value', 'tools')
    if (typeof wanted === 'object' && !names.includes(wanted.function.name))
      throw badRequest(`There is no tool ${JSON.stringify(wanted.function.name)}`, 'invalid_value', 'tool_choice')
    if (wanted === 'none') return undefined
    if (format != null && format.type !== 'text')
      throw badRequest('An answer is either JSON or may call tools', 'invalid_value', 'response_format')
    const templates = Object.values(tokenizer.chatTemplates).join('\n')
    const found = WRITINGS.find(({ of }) => of.test(templates))
    if (!found) throw badRequest("This model's chat template knows no tools", 'unsupported_model', 'tools')
    const required = wanted === 'auto' ? [] : wanted === 'required' ? names : [wanted.function.name]
    return new Tools(
      tools.map((tool) => tool.function),
      found.writing,
      required,
      parallel ?? true,
    )
  }

  private constructor(functions: Tools['list'], writing: Writing, required: readonly string[], several: boolean) {
    this.#functions = functions
    this.#writing = writing
    this.#required = required
    this.#several = several
  }

  get list() {
    return this.#functions
  }

  /** What stands between the conversation and an answer that must be a call; undefined where it need not. */
  get before(): string | undefined {
    return this.#required.length > 0 ? this.#writing.before : undefined
  }

  /**
   * What the JSON of a required call is held to.
   *
   * @throws {RequestError} 400 for definitions of one name in two tools.
   */
  get schema(): Record<string, unknown> {
    const definitions: Record<string, Record<string, unknown>> = {}
    const calls = this.#required.map((name) => {
      const { $defs, definitions: older, ...parameters } = this.#parametersOf(name)
      // A reference counts from the root of a schema, which is another one here.
      for (const [key, of] of Object.entries({ $defs, definitions: older }))
        for (const [title, schema] of Object.entries((of ?? {}) as Record<string, unknown>)) {
          definitions[key] ??= {}
          if (title in definitions[key])
            throw badRequest(`Two tools define ${JSON.stringify(title)}`, 'invalid_json_schema', 'tools')
          definitions[key][title] = schema
        }
      return {
        type: 'object',
        properties: { name: { const: name }, [this.#writing.argumentsKey]: parameters },
        required: ['name', this.#writing.argumentsKey],
      }
    })
    return { ...(calls.length === 1 ? calls[0]! : { anyOf: calls }), ...definitions }
  }

  #parametersOf(name: string): Record<string, unknown> {
    // As in OpenAI's API: a function without parameters takes none.
    return (
      this.#functions.find((one) => one.name === name)!.parameters ?? { type: 'object', additionalProperties: false }
    )
  }

  /** How much of a text may be shown while it grows: no more than up to where a call may begin. */
  shown(text: string): number {
    if (this.#required.length > 0) return 0
    const { opens } = this.#writing
    const blank = text.length - text.trimStart().length
    for (const mark of opens) {
      const at = mark.startsWith('<tool') ? text.indexOf(mark) : text.startsWith(mark, blank) ? blank : -1
      if (at >= 0) return at
    }
    for (let from = Math.max(0, text.length - 16); from < text.length; from++) {
      const anywhere = opens.some((mark) => mark.startsWith('<tool') && mark.startsWith(text.slice(from)))
      const first = from <= blank && opens.some((mark) => mark.startsWith(text.slice(blank)))
      if (anywhere || first) return from
    }
    return blank === text.length ? 0 : text.length
  }

  /** The calls of a whole answer, and its text without them. Calls of unknown functions are text. */
  read(text: string): { calls: ToolCall[]; text: string } {
    const { calls: found, text: rest } =
      this.#required.length > 0 ? { calls: [parsed(text)], text: '' } : this.#writing.split(text)
    const calls = found.flatMap((call) => {
      if (!isObject(call) || !this.#functions.some(({ name }) => name === call.name)) return []
      const given = call.arguments ?? call.parameters ?? {}
      const json = typeof given === 'string' ? given : JSON.stringify(given)
      return [
        { id: newId('call'), type: 'function' as const, function: { name: call.name as string, arguments: json } },
      ]
    })
    if (found.length !== calls.length) return { calls: [], text }
    return calls.length === 0
      ? { calls, text }
      : { calls: this.#several ? calls : calls.slice(0, 1), text: rest.trim() }
  }
}

/** An answer that may call, as it grows: text is shown up to where a call may begin, and calls when they are whole. */
export class GrowingAnswer {
  #text = ''
  #shown = 0

  constructor(private readonly tools: Tools) {}

  add(more: string, isWhole: boolean): { text: string; calls: ToolCall[] } {
    this.#text += more
    const { calls } = isWhole ? this.tools.read(this.#text) : { calls: [] }
    const end = isWhole && calls.length === 0 ? this.#text.length : this.tools.shown(this.#text)
    const text = this.#text.slice(this.#shown, Math.max(end, this.#shown))
    this.#shown += text.length
    return { text, calls }
  }
}
