export { createOptimizer, OPTIMIZERS, type OptimizerName, type OptimizerOptions } from './create-optimizer'
export type { Optimizer, ParameterGroup } from './optimizer'
export { type ParameterGroupOptions, parameterGroups } from './parameter-groups'
