import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { resources, spills } from './cuda-resources.mjs'

const kernel = (name, stack, stores, registers) => `
ptxas info    : Compiling entry function '${name}' for 'sm_80'
ptxas info    : Function properties for ${name}
    ${stack} bytes stack frame, ${stores} bytes spill stores, ${2 * stores} bytes spill loads
ptxas info    : Used ${registers} registers, used 1 barriers, 416 bytes cmem[0]
ptxas info    : Compile time = 5.0 ms`

it('names the kernels that spill or keep arrays in local memory', () => {
  const messages = kernel('fine', 0, 4, 255) + kernel('spilling', 16, 40, 255) + kernel('table', 4000, 0, 30)
  expect(resources(messages).map(({ name, registers }) => [name, registers])).toEqual([
    ['fine', 255],
    ['spilling', 255],
    ['table', 30],
  ])
  const folder = mkdtempSync(join(tmpdir(), 'tunesmith-resources-'))
  try {
    const log = join(folder, 'kernels.o.txt')
    writeFileSync(log, messages)
    expect(spills([log])).toEqual([
      'spilling (sm_80): 120 bytes spilled, 16 of stack, 255 registers',
      'table (sm_80): 0 bytes spilled, 4000 of stack, 30 registers',
    ])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
