import { Environment, Interpreter, Template } from '@huggingface/jinja'
import { TunesmithError } from '@tunesmith/core'

/** How much work a template may cause; templates come with models from strangers. */
export interface TemplateLimits {
  /** Expressions and statements evaluated. Default 1,000,000. */
  steps: number
  /** UTF-16 units of any one string. Default 8,000,000. */
  size: number
}

export const DEFAULT_LIMITS: TemplateLimits = { steps: 1_000_000, size: 8_000_000 }

type Evaluate = Interpreter['evaluate']

class LimitedInterpreter extends Interpreter {
  private steps = 0

  constructor(
    environment: Environment,
    private readonly limits: TemplateLimits,
  ) {
    super(environment)
  }

  override evaluate(...args: Parameters<Evaluate>): ReturnType<Evaluate> {
    if (++this.steps > this.limits.steps) throw tooMuch(`takes more than ${this.limits.steps} steps`)
    const value = super.evaluate(...args)
    if (typeof value?.value === 'string' && value.value.length > this.limits.size)
      throw tooMuch(`makes a text of more than ${this.limits.size} characters`)
    return value
  }
}

function tooMuch(what: string): TunesmithError {
  return new TunesmithError(`The chat template ${what}`, {
    code: 'invalid_data',
    where: 'chat template',
    remedy: 'It loops for ever or was made to do harm; choose another template',
  })
}

const GENERATION_TAG = /\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}/g
const MACRO = '{% macro __generation() %}{{ __open }}{{ caller() }}{{ __close }}{% endmacro %}'

const compiled = new Map<string, Template>()

/** Parses a template once; `{% generation %}` becomes a call whose output is marked. */
function compile(source: string): Template {
  let template = compiled.get(source)
  if (template) return template
  const tagged = source.replace(GENERATION_TAG, (_, before: string, end: string | undefined, after: string) =>
    end ? `{%${before} endcall ${after}%}` : `{%${before} call __generation() ${after}%}`,
  )
  template = new Template(tagged)
  if (tagged !== source) template.parsed.body.unshift(...new Template(MACRO).parsed.body)
  if (compiled.size >= 64) compiled.clear()
  compiled.set(source, template)
  return template
}

/** Whether a template marks what the assistant writes. */
export function hasGenerationTags(source: string): boolean {
  return source.search(GENERATION_TAG) !== -1
}

/** A rendered template: the text, and the `[start, end)` of what stood between generation tags in it. */
export interface RenderedTemplate {
  text: string
  spans: [number, number][]
}

/** Renders a template with transformers' settings (`trim_blocks`, `lstrip_blocks`) and nothing but `variables` in reach. */
export function runTemplate(
  source: string,
  variables: Record<string, unknown>,
  limits: TemplateLimits = DEFAULT_LIMITS,
): RenderedTemplate {
  const open = '\ue0f0\ue000\ue0f1'
  const close = '\ue0f0\ue001\ue0f1'
  const environment = new Environment()
  const globals: Record<string, unknown> = {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    __open: open,
    __close: close,
    raise_exception: (message: string) => {
      throw new TunesmithError(String(message), { code: 'invalid_data', where: 'chat template' })
    },
    range: (...args: number[]) => range(args, limits),
    strftime_now: (format: string) => strftime(new Date(), format),
    ...variables,
  }
  try {
    for (const [name, value] of Object.entries(globals)) environment.set(name, value)
    const result = new LimitedInterpreter(environment, limits).run(compile(source).parsed)
    return takeSpans(String(result.value), open, close)
  } catch (error) {
    if (error instanceof TunesmithError) throw error
    throw new TunesmithError(`The chat template failed: ${(error as Error).message}`, {
      code: 'invalid_data',
      where: 'chat template',
      remedy: 'Check the template and that every message has the fields it asks for',
      cause: error,
    })
  }
}

function range(args: number[], limits: TemplateLimits): number[] {
  const [start, stop, step] = args.length === 1 ? [0, args[0]!, 1] : [args[0]!, args[1]!, args[2] ?? 1]
  if (step === 0) throw new Error('range() arg 3 must not be zero')
  const length = Math.max(0, Math.ceil((stop - start) / step))
  if (length > limits.steps) throw tooMuch(`takes more than ${limits.steps} steps`)
  return Array.from({ length }, (_, i) => start + i * step)
}

function takeSpans(marked: string, open: string, close: string): RenderedTemplate {
  const spans: [number, number][] = []
  let text = ''
  let start = 0
  for (let at = 0; ; ) {
    const from = marked.indexOf('\ue0f0', at)
    if (from === -1) return { text: text + marked.slice(at), spans }
    text += marked.slice(at, from)
    at = from + 3
    if (marked.startsWith(open, from)) start = text.length
    else if (marked.startsWith(close, from)) spans.push([start, text.length])
    else {
      text += '\ue0f0'
      at = from + 1
    }
  }
}

/** The directives of C's strftime that templates use, in English as Python's default locale has them. */
function strftime(date: Date, format: string): string {
  const english = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat('en-US', options).format(date)
  const two = (n: number) => String(n).padStart(2, '0')
  const table: Record<string, () => string> = {
    Y: () => String(date.getFullYear()),
    y: () => two(date.getFullYear() % 100),
    m: () => two(date.getMonth() + 1),
    d: () => two(date.getDate()),
    H: () => two(date.getHours()),
    I: () => two(date.getHours() % 12 || 12),
    p: () => (date.getHours() < 12 ? 'AM' : 'PM'),
    M: () => two(date.getMinutes()),
    S: () => two(date.getSeconds()),
    b: () => english({ month: 'short' }),
    B: () => english({ month: 'long' }),
    a: () => english({ weekday: 'short' }),
    A: () => english({ weekday: 'long' }),
    '%': () => '%',
  }
  return format.replace(/%([a-zA-Z%])/g, (whole, letter: string) => table[letter]?.() ?? whole)
}
