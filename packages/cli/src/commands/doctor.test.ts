import { describe, expect, it } from 'vitest'
import { cudaLines } from './doctor'

describe('doctor', () => {
  it('says what CUDA lacks, where it was looked for and what to do', () => {
    const library = (found: boolean, text: string) => ({ found, text, remedy: '' })
    const lines = cudaLines({
      problem: 'the NVIDIA driver was not found. Looked for libcuda.so.1 in /usr/lib64',
      remedy: 'Install an NVIDIA driver',
      libraries: {
        driver: library(false, 'the NVIDIA driver was not found. Looked for libcuda.so.1 in /usr/lib64'),
        cublasLt: library(true, 'cuBLASLt: /usr/lib/libcublasLt.so.13'),
        nccl: library(false, 'NCCL was not found'),
      },
    })
    expect(lines[0]).toBe('  missing      the NVIDIA driver was not found. Looked for libcuda.so.1 in /usr/lib64')
    expect(lines[1]).toContain('found        cuBLASLt: /usr/lib/libcublasLt.so.13')
    expect(lines[3]).toContain('not used     the NVIDIA driver was not found')
    expect(lines[4]).toBe('  to use it    Install an NVIDIA driver')
  })

  it('describes the GPU that is used', () => {
    const device = { name: 'A GPU', capability: '9.0', totalBytes: 80 * 2 ** 30, driver: 13000, runtime: 12080 }
    expect(cudaLines({ device })).toEqual([
      '  GPU          A GPU, compute capability 9.0, 80 GB',
      '  versions     driver for CUDA 13.0, addon built with CUDA 12.8',
    ])
  })
})
