export { BINARY, broadcastPattern, span, UNARY } from './broadcast'
export { KernelInputs, type KernelMemory, replaceKernel, type WeightArgs } from './kernel-inputs'
