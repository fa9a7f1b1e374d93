/** What a run on one H200-class GPU has to reach, and whether the rows and steps of a run say so. */

const GIGABYTE = 1e9

/** The last row of a case in a unit: a later step measures again what an earlier one had. */
const find = (rows, name, unit) => rows.findLast((row) => row.case === name && row.unit.startsWith(unit))
const speed = (rows, name) => find(rows, name, 'tokens/s')
const quotient = (a, b) => (a === undefined || b === undefined ? undefined : a / b)
const percent = (row) => {
  const match = /ours (\d+(?:\.\d+)?)% of/.exec(row?.unit ?? '')
  return match ? Number(match[1]) : undefined
}
const clean = (steps, name) => {
  const status = steps.findLast(({ step }) => step === name)?.status
  return status === undefined || status === 'skipped' ? undefined : Number(status === 'passed')
}

const LLAMA = 'llama-3.1-8b'
const step = (model, format) => `${model} ${format}: LoRA step`
const decoding = (format) => `${LLAMA} ${format}: decoding one sequence`

const TARGETS = [
  {
    what: 'memcheck finds nothing',
    unit: '',
    atLeast: 1,
    of: (_, steps) => clean(steps, 'memcheck'),
  },
  {
    what: 'racecheck finds nothing',
    unit: '',
    atLeast: 1,
    of: (_, steps) => clean(steps, 'racecheck'),
  },
  {
    what: 'LoRA on Llama-3.1-8B in bf16, 2,048 packed tokens, no checkpointing',
    unit: 'tokens/s',
    atLeast: 15_000,
    of: (rows) => speed(rows, step(LLAMA, 'bf16'))?.ours,
  },
  {
    what: 'the same against transformers + PEFT',
    unit: 'x',
    atLeast: 1.3,
    of: (rows) => speed(rows, step(LLAMA, 'bf16'))?.ratio ?? undefined,
  },
  {
    what: "the same, our peak memory in the peer's",
    unit: 'x',
    atMost: 1,
    of: (rows) => {
      const row = speed(rows, step(LLAMA, 'bf16'))
      return quotient(row?.oursMemory, row?.peerMemory)
    },
  },
  {
    what: 'NF4 against bf16 weights, the same step',
    unit: 'x',
    atLeast: 0.88,
    of: (rows) => quotient(speed(rows, step(LLAMA, 'nf4'))?.ours, speed(rows, step(LLAMA, 'bf16'))?.ours),
  },
  {
    what: '4-bit weights with gradient checkpointing, 2,048 tokens: peak memory',
    unit: 'GB',
    atMost: 8,
    of: (rows) => {
      const row = rows.findLast(
        ({ case: name, oursMemory }) => /^llama-3\.1-8b nf4\b.*checkpoint/.test(name) && oursMemory,
      )
      return row && row.oursMemory / GIGABYTE
    },
  },
  {
    what: 'LoRA on TinyLlama-1.1B in bf16',
    unit: 'tokens/s',
    atLeast: 90_000,
    of: (rows) => speed(rows, step('tinyllama', 'bf16'))?.ours,
  },
  {
    what: 'decoding Llama-3.1-8B in bf16, share of the memory bandwidth measured in the same call',
    unit: '%',
    atLeast: 60,
    of: (rows) => percent(speed(rows, decoding('bf16'))),
  },
  {
    what: 'decoding with NF4 against bf16 weights',
    unit: 'x',
    atLeast: 2,
    of: (rows) => quotient(speed(rows, decoding('nf4'))?.ours, speed(rows, decoding('bf16'))?.ours),
  },
]

/** Each target with what was measured: `{ what, wanted, got, verdict }`; the verdict is met, missed or not measured. */
export function verdicts(rows, steps) {
  return TARGETS.map(({ what, unit, atLeast, atMost, of }) => {
    const value = of(rows, steps)
    const wanted =
      unit === ''
        ? 'yes'
        : `${atLeast === undefined ? 'at most' : 'at least'} ${(atLeast ?? atMost).toLocaleString('en-US')} ${unit}`
    if (value === undefined) return { what, wanted, got: '-', verdict: 'not measured' }
    const met = atLeast === undefined ? value <= atMost : value >= atLeast
    const shown = value >= 1000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)))
    const got = unit === '' ? (met ? 'yes' : 'no') : `${shown} ${unit}`
    return { what, wanted, got, verdict: met ? 'met' : 'missed' }
  })
}
