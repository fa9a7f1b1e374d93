import { parse, tokenize } from '@huggingface/jinja'
import { TunesmithError } from '@tunesmith/core'
import type { Node } from './ast'
import { GENERATION, Renderer, type TemplateLimits, TemplateTooMuch } from './renderer'
import { Scope } from './scope'
import { strftime } from './strftime'
import { Callable, iterate, Namespace, numberOf, TemplateFault, text, toValue, type Value } from './values'

const LIMITS: TemplateLimits = { steps: 1_000_000, size: 8_000_000 }

const GENERATION_TAG = /\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}/g

/** Whether a template marks what the assistant writes (transformers' `{% generation %}`). */
export function hasGenerationTags(source: string): boolean {
  return source.search(GENERATION_TAG) !== -1
}

const compiled = new Map<string, readonly Node[]>()

/** Parses a template with transformers' settings (`trim_blocks`, `lstrip_blocks`), once. */
function compile(source: string): readonly Node[] {
  let body = compiled.get(source)
  if (body) return body
  // The library drops the generation tags; as a call block they keep their place and their scope.
  const tagged = source
    .replaceAll(/\r\n?/g, '\n')
    .replace(GENERATION_TAG, (_, before: string, end: string | undefined, after: string) =>
      end ? `{%${before} endcall ${after}%}` : `{%${before} call ${GENERATION}() ${after}%}`,
    )
  const program = parse(tokenize(tagged, { lstrip_blocks: true, trim_blocks: true })) as unknown as { body: Node[] }
  body = program.body
  if (compiled.size >= 64) compiled.clear()
  compiled.set(source, body)
  return body
}

/** A rendered template: the text, and the `[start, end)` of what stood between generation tags in it. */
export interface RenderedTemplate {
  text: string
  spans: [number, number][]
}

/**
 * Renders a template. Nothing is in reach of it but `variables`, Jinja's own functions, and the two that transformers
 * gives (`raise_exception`, `strftime_now`).
 *
 * @throws {TunesmithError} `invalid_data`: the template raised, is not well formed, used something that is not there, or
 *   went over a limit.
 */
export function runTemplate(source: string, variables: Record<string, unknown>, track = false): RenderedTemplate {
  const [open, close] = ['\ue0f0\ue000\ue0f1', '\ue0f0\ue001\ue0f1']
  const renderer = new Renderer(LIMITS, (generated) => (track ? open + generated + close : generated))
  try {
    const scope = new Scope()
    for (const [name, value] of globals()) scope.set(name, value)
    for (const [name, value] of Object.entries(variables))
      if (value !== undefined) scope.set(name, toValue(value, name))
    const printed = renderer.block(compile(source), new Scope(scope))
    return track ? takeSpans(printed, open, close) : { text: printed, spans: [] }
  } catch (error) {
    throw explain(error)
  }
}

function explain(error: unknown): TunesmithError {
  if (error instanceof TunesmithError) return error
  const where = 'chat template'
  const tooDeep = error instanceof RangeError
  if (error instanceof TemplateTooMuch || tooDeep)
    return new TunesmithError(`The chat template ${tooDeep ? 'calls itself without end' : (error as Error).message}`, {
      code: 'invalid_data',
      where,
      remedy: 'It loops for ever or was made to do harm; choose another template',
      cause: error,
    })
  return new TunesmithError(`The chat template failed: ${(error as Error).message}`, {
    code: 'invalid_data',
    where,
    remedy: 'Check the template, and that every message has the fields it asks for',
    cause: error,
  })
}

function globals(): [string, Value][] {
  const host = (name: string, call: Callable['call']): [string, Value] => [name, new Callable(name, call)]
  return [
    ['true', true],
    ['True', true],
    ['false', false],
    ['False', false],
    ['none', null],
    ['None', null],
    host('raise_exception', ([message]) => {
      throw new TunesmithError(text(message ?? ''), { code: 'invalid_data', where: 'chat template' })
    }),
    host('strftime_now', ([format]) => strftime(new Date(), text(format ?? ''))),
    host('range', range),
    host('dict', ([from], kwargs) => new Map([...entriesOf(from), ...kwargs])),
    host('namespace', ([from], kwargs) => new Namespace(new Map([...entriesOf(from), ...kwargs]))),
  ]
}

function entriesOf(value: Value | undefined): [string, Value][] {
  if (value === undefined) return []
  if (value instanceof Map) return [...value]
  return iterate(value).map((pair) => {
    const [key, item] = iterate(pair)
    return [text(key ?? ''), item ?? null]
  })
}

function range(args: Value[]): Value {
  const numbers = args.map((arg) => {
    if (typeof arg !== 'number') throw new TemplateFault('range() needs integers')
    return numberOf(arg)!
  })
  const [start, stop, step] = numbers.length === 1 ? [0, numbers[0]!, 1] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1]
  if (step === 0) throw new TemplateFault('range() arg 3 must not be zero')
  const length = Math.max(0, Math.ceil((stop - start) / step))
  // Jinja2's sandbox allows no longer ones either.
  if (length > 100_000) throw new TemplateTooMuch('makes a range of more than 100000 numbers')
  return Array.from({ length }, (_, i) => start + i * step)
}

function takeSpans(marked: string, open: string, close: string): RenderedTemplate {
  const spans: [number, number][] = []
  let out = ''
  let start = 0
  for (let at = 0; ; ) {
    const from = marked.indexOf('\ue0f0', at)
    if (from === -1) return { text: out + marked.slice(at), spans }
    out += marked.slice(at, from)
    at = from + open.length
    if (marked.startsWith(open, from)) start = out.length
    else if (marked.startsWith(close, from)) spans.push([start, out.length])
    else {
      out += '\ue0f0'
      at = from + 1
    }
  }
}
