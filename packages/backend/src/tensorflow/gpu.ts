import { existsSync } from 'node:fs'
import * as tf from '@tensorflow/tfjs-core'

/** What NVIDIA's driver puts there on Linux, and what Windows shows to the Linux inside it. */
const DEVICES = ['/proc/driver/nvidia/version', '/dev/nvidiactl', '/dev/dxg']

/**
 * True when this machine may have an NVIDIA GPU: worth loading libtensorflow, which takes seconds, to ask it. Where the
 * driver leaves no file (Windows) it may always.
 */
export function mayHaveGpu(): boolean {
  return process.platform === 'win32' || DEVICES.some((path) => existsSync(path))
}

/** Whether the backend `tensorflow`, loaded before, computes on a GPU. */
export function tensorFlowUsesGpu(): boolean {
  return (tf.findBackend('tensorflow') as { isUsingGpuDevice?: boolean } | null)?.isUsingGpuDevice === true
}
