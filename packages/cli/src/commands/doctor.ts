import { arch, cpus, platform, totalmem } from 'node:os'
import { Command } from '@commander-js/extra-typings'
import {
  type CudaDiagnosis,
  diagnoseCuda,
  diagnoseTensorFlow,
  fixTensorFlow,
  selectBackend,
  type TensorFlowDiagnosis,
} from '@tunesmith/backend'

const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(0)} GB`

function tensorFlowLines({ package: name, binding, loads, python, cuda, remedy }: TensorFlowDiagnosis): string[] {
  const state = !binding?.exists
    ? 'not compiled'
    : loads && 'version' in loads
      ? `loads, libtensorflow ${loads.version}`
      : `does not load: ${loads?.error}`
  return [
    `  package      ${name ?? 'not installed (@tensorflow/tfjs-node or @tensorflow/tfjs-node-gpu)'}`,
    ...(binding ? [`  binding      ${state} (${binding.path})`] : []),
    `  libraries    ${python ? `Python TensorFlow ${python.version} (${python.folder})` : 'no Python TensorFlow found'}`,
    `  CUDA         ${cuda.driver ? `driver ${cuda.driver}` : 'no NVIDIA driver found'}; cuDNN ${cuda.cudnn ? 'found' : 'not found'}`,
    ...(remedy ? [`  to use it    ${remedy}`] : []),
  ]
}

/** Why CUDA is used or not: the GPU, and each library with where it was found or looked for. */
export function cudaLines({ problem, remedy, device, libraries }: CudaDiagnosis): string[] {
  const version = (n: number) => `${Math.floor(n / 1000)}.${Math.floor((n % 1000) / 10)}`
  return [
    ...(device
      ? [
          `  GPU          ${device.name}, compute capability ${device.capability}, ${gigabytes(device.totalBytes)}`,
          `  versions     driver for CUDA ${version(device.driver)}, addon built with CUDA ${version(device.runtime)}`,
        ]
      : []),
    ...Object.values(libraries ?? {}).map(({ found, text }) => `  ${found ? 'found       ' : 'missing     '} ${text}`),
    ...(problem ? [`  not used     ${problem}`] : []),
    ...(remedy ? [`  to use it    ${remedy}`] : []),
  ]
}

async function doctor({ fix }: { fix?: boolean }): Promise<void> {
  const diagnosis = fix ? await fixTensorFlow((line) => console.log(line)) : await diagnoseTensorFlow()
  console.log(
    `Node ${process.version} on ${platform()}-${arch()}, ${cpus().length} processors, ${gigabytes(totalmem())}`,
  )
  const { name, description, passedOver, portableKernels } = await selectBackend()
  console.log(`backend        ${name}: ${description}`)
  for (const { name, reason } of passedOver) console.log(`  not ${name.padEnd(10)} ${reason}`)
  if (portableKernels.length > 0)
    console.log(`  portable     ${portableKernels.length} kernels are compositions of standard operations: slower`)
  console.log('cuda')
  for (const line of cudaLines(await diagnoseCuda())) console.log(line)
  console.log('tensorflow')
  for (const line of tensorFlowLines(diagnosis)) console.log(line)
}

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('tell which backends are there, what is missing, and how to get it')
    .option('--fix', "make an installed tfjs-node work, with the libraries of Python's TensorFlow")
    .action(doctor)
}
