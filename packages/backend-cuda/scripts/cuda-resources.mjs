// What ptxas says about each kernel: `node scripts/cuda-resources.mjs [--arch=sm_90a]` prints registers, stack and spills.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildCuda } from './build-cuda.mjs'

/** Bytes a kernel may spill: a few around a rare path cost nothing, a tile that does not fit costs everything. */
const BUDGET = 32
/** Bytes of stack: more is an array, or a table among the arguments, that was put into slow local memory. */
const STACK = 256

/** Each kernel of the compilers' messages: mangled name, architecture, registers, bytes of stack and of spilled stores and loads. */
export function resources(messages) {
  const kernels = []
  const pattern =
    /Compiling entry function '(\S+)' for '(\S+)'[\s\S]*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads[\s\S]*?Used (\d+) registers/g
  for (const [, name, arch, stack, stores, loads, registers] of messages.matchAll(pattern))
    kernels.push({ name, arch, stack: +stack, spilled: +stores + +loads, registers: +registers })
  return kernels
}

/** Kernels that spill more than the budget or keep arrays on a stack, as lines to print. */
export function spills(logs) {
  return logs.flatMap((log) =>
    resources(readFileSync(log, 'utf8'))
      .filter(({ spilled, stack }) => spilled > BUDGET || stack > STACK)
      .map((k) => `${k.name} (${k.arch}): ${k.spilled} bytes spilled, ${k.stack} of stack, ${k.registers} registers`),
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const arch = process.argv.find((argument) => argument.startsWith('--arch='))?.slice(7) ?? 'sm_90a'
  const { problem, logs = [] } = await buildCuda({ arch })
  if (problem) console.log(problem)
  for (const log of logs)
    for (const { name, stack, spilled, registers } of resources(readFileSync(log, 'utf8')))
      console.log(
        `${String(registers).padStart(3)} registers ${String(stack).padStart(5)} stack ${String(spilled).padStart(5)} spilled  ${basename(log).split('-')[0]} ${name}`,
      )
  process.exitCode = problem ? 1 : 0
}
