import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  corpusResult,
  endOnPage,
  intervalChart,
  lengthsOf,
  memoryPlan,
  range,
  readOptions,
  SHAPES,
  saveFigures,
  saveRows,
  showHtml,
  showPlan,
  showSettings,
  showSvg,
  showTable,
  textTable,
} from './index'

const script = pathToFileURL('/clone/examples/some-example/src/notebook.ts').href
const printed = () => {
  const lines: string[] = []
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => lines.push(String(text)) > 0)
  return lines
}
afterEach(() => {
  vi.restoreAllMocks()
  delete (globalThis as { __notebook?: unknown }).__notebook
})

describe('the options of an example', () => {
  it('choose the mode', () => {
    expect(readOptions(script, ['--smoke'])).toMatchObject({
      name: 'some-example',
      mode: 'smoke',
      outputDir: relative(process.cwd(), '/clone/runs/some-example-smoke'),
    })
    const data = readOptions(script, ['--data', 'rows', '--quick', '--output=here'])
    expect(data).toMatchObject({ mode: 'data', dataDir: 'rows', quick: true, outputDir: 'here' })
    expect(readOptions(script, ['--yes', '--serve'])).toMatchObject({ mode: 'full', confirmed: true, serve: true })
    expect(readOptions(script, []).pick({ smoke: 1, data: 2, full: 3 })).toBe(3)
  })

  it('are checked', () => {
    expect(() => readOptions(script, ['--smok'])).toThrow(/did you mean "--smoke"/)
    expect(() => readOptions(script, ['--smoke', '--data', 'x'])).toThrow(/two modes/)
  })
})

describe('the page at the end', () => {
  it('closes at once, or with --serve when it is told to', async () => {
    const lines = printed()
    let closed = 0
    const server = { url: 'http://127.0.0.1:1', close: async () => void closed++ }
    await endOnPage(readOptions(script, ['--smoke']), server)
    expect(closed).toBe(1)
    vi.spyOn(console, 'log').mockImplementation((text) => lines.push(String(text)))
    const ended = endOnPage(readOptions(script, ['--smoke', '--serve']), server)
    await Promise.resolve()
    expect(closed).toBe(1)
    expect(lines.join('')).toContain(server.url)
    process.emit('SIGTERM')
    await ended
    expect(closed).toBe(2)
  })
})

describe('the plan of a full run', () => {
  const tinyLlama = SHAPES['TinyLlama/TinyLlama-1.1B-Chat-v1.0']
  const llama8b = SHAPES['unsloth/Meta-Llama-3.1-8B-bnb-4bit']
  const common = { weights: 'nf4', optimizerBytes: 8, tokens: 2048, gradientCheckpointing: true } as const

  it("prints PEFT's line from the shapes alone", () => {
    const { line } = memoryPlan({ ...common, config: tinyLlama, lora: { r: 16, targetModules: ['q_proj', 'v_proj'] } })
    expect(line).toBe('trainable params: 2,252,800 || all params: 1,102,301,184 || trainable%: 0.2044')
    const seven = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']
    const plan = memoryPlan({ ...common, config: llama8b, lora: { r: 16, targetModules: seven } })
    expect(plan.trainable).toBe(41_943_040)
    // 6.98e9 quantized weights, and two embeddings of 128256 x 4096 in 16 bits
    expect(plan.weights / 1e9).toBeCloseTo(3.6 + 2.1, 1)
  })

  it('ends a full run that was not confirmed, before anything is downloaded', () => {
    const lines = printed()
    const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never)
    const options = { ...common, lora: { r: 16, targetModules: ['q_proj', 'v_proj'] } }
    showPlan(readOptions(script, ['--smoke']), 'TinyLlama/TinyLlama-1.1B-Chat-v1.0', options)
    showPlan(readOptions(script, ['--yes']), 'TinyLlama/TinyLlama-1.1B-Chat-v1.0', options)
    expect(exit).not.toHaveBeenCalled()
    expect(lines.join('')).toContain('2,252,800')
    showPlan(readOptions(script, []), 'TinyLlama/TinyLlama-1.1B-Chat-v1.0', options)
    expect(exit).toHaveBeenCalledWith(0)
  })

  it('knows what checkpointing and 4 bits save', () => {
    const lora = { r: 16, targetModules: ['q_proj', 'v_proj'] }
    const with_ = memoryPlan({ ...common, config: tinyLlama, lora })
    const without = memoryPlan({ ...common, config: tinyLlama, lora, gradientCheckpointing: false })
    const bf16 = memoryPlan({ ...common, config: tinyLlama, lora, weights: 'bfloat16' })
    expect(without.activations).toBeGreaterThan(5 * with_.activations)
    expect(bf16.weights).toBeGreaterThan(2.5 * with_.weights)
  })
})

describe('showing', () => {
  it('prints a table to a terminal, and hands it to a notebook', () => {
    const lines = printed()
    showTable(['name', 'score'], [['a\nb', '1']], { caption: 'Scores' })
    expect(lines.join('')).toBe('\nScores\nname   score\na ⏎ b  1\n\n')
    const shown: object[] = []
    ;(globalThis as { __notebook?: unknown }).__notebook = { show: (item: object) => shown.push(item) }
    showTable(['name'], [['x']])
    expect(shown).toEqual([{ kind: 'table', header: ['name'], rows: [['x']], caption: '' }])
    expect(textTable(['a'], [['x'.repeat(80)]], 10)).toBe('a\nxxxxxxxxx…')
  })

  it('puts the settings of the full run beside those of this one', () => {
    const lines = printed()
    const full = { learningRate: 2e-4, maxSteps: -1, optim: 'adamw' }
    expect(showSettings(full, { learningRate: 3e-3 })).toEqual({ learningRate: 3e-3, maxSteps: -1, optim: 'adamw' })
    expect(lines.join('')).toMatch(/learningRate +0\.0002 +0\.003\nmaxSteps +-1 +same/)
  })

  it('draws bars with whiskers', () => {
    printed()
    const svg = intervalChart({
      title: 'F1 & ROUGE',
      systems: ['base', 'tuned'],
      groups: [{ name: 'F1', bars: [{ score: 0 }, { score: 0.5, low: 0.4, high: 0.6 }] }],
    })
    expect(svg).toContain('F1 &amp; ROUGE')
    expect(svg.match(/<rect x="130" /g)).toHaveLength(3)
    expect(svg.match(/<path/g)).toHaveLength(1)
    const file = join(tmpdir(), `kit-${process.pid}`, 'chart.svg')
    showSvg(svg, file)
    expect(readFileSync(file, 'utf8')).toBe(svg)
  })

  it('shows markup in a notebook, and its text in a terminal', () => {
    const lines = printed()
    showHtml('<b>bold</b>', 'bold')
    expect(lines.join('')).toBe('bold\n')
    const shown: object[] = []
    ;(globalThis as { __notebook?: unknown }).__notebook = { show: (item: object) => shown.push(item) }
    showHtml('<b>bold</b>', 'bold')
    expect(shown).toEqual([{ kind: 'html', html: '<b>bold</b>' }])
  })

  it('writes a score with its interval', () => {
    expect(range({ score: 0.5, low: 0.25, high: 0.75 }, 2)).toBe('0.50 [0.25, 0.75]')
  })
})

describe('what a run leaves', () => {
  const run = { ...readOptions(script, ['--smoke']), outputDir: join(tmpdir(), `kit-${process.pid}`, 'out') }
  const read = (file: string) => readFileSync(join(run.outputDir, file), 'utf8')

  it('are figures and rows', () => {
    vi.spyOn(console, 'log').mockImplementation(() => {})
    saveFigures(run, { loss: 0.5 })
    expect(JSON.parse(read('figures.json'))).toEqual({
      example: 'some-example',
      mode: 'smoke',
      seconds: expect.any(Number),
      loss: 0.5,
    })
    saveRows(run, { train: [{ a: 1 }, { a: 2 }], test: [{ a: 3 }] })
    expect([read('rows/train.jsonl'), read('rows/test.jsonl')]).toEqual(['{"a":1}\n{"a":2}\n', '{"a":3}\n'])
  })
})

describe('measures', () => {
  const hits = {
    name: 'hits',
    higherIsBetter: true,
    statistics: (prediction: string, [reference]: readonly string[]) => [prediction === reference ? 1 : 0, 1],
    score: (sums: ArrayLike<number>) => sums[0]! / sums[1]!,
    signature: () => ({ signature: 'hits', signatureShort: 'hits' }),
  }
  const wanted = Array.from({ length: 12 }, (_, i) => String(i))

  it('test a metric of one’s own against the baseline', () => {
    const base = wanted.map(() => 'x')
    const tuned = wanted.map((text, i) => (i < 9 ? text : 'x'))
    const result = corpusResult(hits, { base, tuned }, wanted)
    expect(result.corpus).toEqual({ base: 0, tuned: 0.75 })
    expect(result.scores!.tuned!.slice(7, 11)).toEqual([1, 1, 0, 0])
    expect(result.differences!.tuned).toMatchObject({ difference: 0.75 })
    expect(result.differences!.tuned!.pValue).toBeLessThan(0.01)
    expect(result.intervals!.tuned!.low).toBeLessThan(0.75)
  })

  it('find no difference between equals', () => {
    const nothing = wanted.map(() => 'x')
    expect(corpusResult(hits, { base: nothing, tuned: nothing }, wanted).differences!.tuned!.pValue).toBe(1)
  })

  it('count tokens', () => {
    const { mean, max } = lengthsOf([{ inputIds: [1, 2] }, { inputIds: [1, 2, 3, 4] }])
    expect([mean, max]).toEqual([3, 4])
  })
})
