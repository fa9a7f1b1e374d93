import { incompatible, invalidData, TunesmithError, unsupported } from '@tunesmith/core'
import { Runtime } from './compile/runtime'
import { compileTemplate, type Template } from './compile/template'
import { GLOBALS } from './globals'
import { withBudget } from './values/budget'
import { OverBudget, TemplateSyntaxFault, Unsupported } from './values/fault'
import { fromItem } from './values/from-javascript'
import type { Value } from './values/value'

const compiled = new Map<string, Template>()
const MOST_COMPILED = 64

/** Reads a template, once. */
function load(source: string): Template {
  let template = compiled.get(source)
  if (template) return template
  try {
    template = compileTemplate(source)
  } catch (error) {
    throw explain(error, undefined)
  }
  if (compiled.size >= MOST_COMPILED) compiled.clear()
  compiled.set(source, template)
  return template
}

/** Whether a template marks what the assistant writes (transformers' `{% generation %}`). */
export function hasGenerationTags(source: string): boolean {
  return load(source).generates
}

/**
 * Reads a template ahead of its first rendering.
 *
 * @param name what the template is called, and where it comes from.
 * @throws {TunesmithError} `unsupported` for a construct that is not supported, wherever in the template it stands. What is not
 *   well formed is left to the rendering, as in transformers: the template may never be used.
 */
export function refuseUnsupportedTemplate(source: string, name: string): void {
  try {
    compileTemplate(source)
  } catch (error) {
    if (!(error instanceof TemplateSyntaxFault && error.unsupported)) return
    throw unsupported(`The chat template cannot be rendered: ${error.message}`, {
      where: `${name}, line ${error.line}`,
      remedy: 'Write the template without it, or take it out of the folder and name one of ours',
      cause: error,
    })
  }
}

/** A rendered template: the text, and the `[start, end)` of what stood between generation tags in it. */
export interface RenderedTemplate {
  text: string
  spans: [number, number][]
}

/**
 * Renders a template as transformers does it with Jinja2. Nothing is in reach of it but `variables`, Jinja's own functions,
 * and the two that transformers gives (`raise_exception`, `strftime_now`).
 *
 * @param variables whole numbers and bigints are ints, other numbers and `Float` floats, arrays lists, objects and `Map`s dicts
 * @param track find what stands between generation tags
 * @throws {TunesmithError} `invalid_data`: the template raised, is not well formed, used something that is not there, or
 *   went over its budget; `unsupported`: it asks for something that is not there at all, such as another template.
 */
export function runTemplate(source: string, variables: Record<string, unknown>, track = false): RenderedTemplate {
  const template = load(source)
  const runtime = new Runtime()
  try {
    withBudget(() => template.render(runtime, resolver(variables)))
  } catch (error) {
    throw explain(error, runtime.line)
  }
  if (!track) return { text: runtime.out, spans: [] }
  if (runtime.lostSpans)
    throw incompatible('The chat template changes or drops the text of a {% generation %} block after printing it', {
      where: 'chat template',
      remedy: 'Put the generation tags where the text is printed last, outside of set blocks and filters',
    })
  return { text: runtime.out, spans: runtime.spans }
}

/** Looks a name up among the variables, then among the functions of every template. */
function resolver(variables: Record<string, unknown>): (name: string) => Value | undefined {
  return (name) => {
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined
    return value === undefined ? GLOBALS.get(name) : fromItem(variables, name, value, name)
  }
}

function explain(error: unknown, line: number | undefined): TunesmithError {
  if (error instanceof TunesmithError) return error
  const message = (error as Error).message
  const at = error instanceof TemplateSyntaxFault ? error.line : line
  const where = at === undefined ? 'chat template' : `chat template, line ${at}`
  const tooDeep = error instanceof RangeError
  if (error instanceof OverBudget || tooDeep)
    return invalidData(`The chat template ${tooDeep ? 'nests or calls itself too deep' : message}`, {
      where,
      remedy: 'It loops for ever or was made to do harm; choose another template',
      cause: error,
    })
  if (error instanceof Unsupported || (error instanceof TemplateSyntaxFault && error.unsupported))
    return unsupported(`The chat template cannot be rendered: ${message}`, {
      where,
      remedy: 'Render it with Python, or write the template without it',
      cause: error,
    })
  if (error instanceof TemplateSyntaxFault)
    return invalidData(`The chat template is not well formed: ${message}`, {
      where,
      remedy: 'Correct the template in the tokenizer_config.json or chat_template.jinja it comes from',
      cause: error,
    })
  return invalidData(`The chat template failed: ${message}`, {
    where,
    remedy: 'Check the template, and that every message has the fields it asks for',
    cause: error,
  })
}
