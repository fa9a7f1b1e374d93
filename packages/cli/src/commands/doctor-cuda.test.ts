// On every kind of machine `doctor` says why CUDA is not used and what to do about it. The emulated build plays the machines;
// the texts are those of the real device (cuda/host/requirements.cc).
import { diagnoseCuda } from '@tunesmith/backend'
import { emulateCuda } from '@tunesmith/tooling/emulated-cuda'
import { afterEach, describe, expect, it } from 'vitest'
import { cudaLines } from './doctor'

const there = emulateCuda('f32')

async function lines(variables: Record<string, string>): Promise<string> {
  Object.assign(process.env, variables)
  try {
    return cudaLines(await diagnoseCuda()).join('\n')
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name]
  }
}

describe.runIf(there)('doctor, where CUDA cannot be used', () => {
  afterEach(() => {
    process.env.TUNESMITH_CUDA_EMULATE = '1'
  })

  // The first: later ones have the addon.
  it('without the addon', async () => {
    const text = await lines({ TUNESMITH_CUDA_EMULATE: '0', TUNESMITH_CUDA_ADDON: '/nowhere/addon.node' })
    expect(text).toMatch(/not used +The CUDA addon is not there \(addon.node: not there\)/)
    expect(text).toMatch(/to use it +.*npm run build:cuda/)
  })

  it.each([
    ['no driver', /not used +the NVIDIA driver was not found. Looked for libcuda.so.1/, /Install an NVIDIA driver/],
    ['old driver', /driver is too old: it supports CUDA 12.2, this addon was built with CUDA 13.0/, /to 580 or newer/],
    ['no GPU', /No NVIDIA GPU can be used: the driver shows none/, /nvidia-smi and CUDA_VISIBLE_DEVICES/],
    ['broken driver', /No NVIDIA GPU can be used: unknown error/, /nvidia-smi/],
    ['old GPU', /an older GPU has compute capability 7.5, at least 8.0 is needed/, /TUNESMITH_BACKEND=native/],
    ['other GPU', /no code for another GPU \(compute capability 12.1\)/, /npm run build:cuda/],
    ['no cuBLASLt', /cuBLASLt was not found. Looked for libcublasLt.so.13 or/, /pip install nvidia-cublas/],
  ])('%s', async (machine, problem, remedy) => {
    const text = await lines({ TUNESMITH_CUDA_EMULATED_MACHINE: machine })
    expect(text).toMatch(problem)
    expect(text.split('\n').at(-1)).toMatch(/^ {2}to use it/)
    expect(text.split('\n').at(-1)).toMatch(remedy)
    // What was looked for where is there too.
    expect(text).toMatch(/(found|missing) +.*driver/)
  })

  it('a GPU that is not there', async () => {
    const text = await lines({ TUNESMITH_CUDA_EMULATED_MACHINE: 'one GPU', TUNESMITH_CUDA_DEVICE: '3' })
    expect(text).toMatch(/There is no GPU 3, only 1/)
    expect(text).toMatch(/TUNESMITH_CUDA_DEVICE/)
  })

  it('and where it can', async () => {
    const text = await lines({})
    expect(text).toMatch(/GPU +emulated device, compute capability 8.0, 1 GB/)
    expect(text).not.toMatch(/not used|to use it/)
  })
})
