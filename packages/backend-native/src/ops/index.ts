import { registerElementwise } from './elementwise'
import { registerLayout } from './layout'
import { registerMatMul } from './mat-mul'
import { registerReduce } from './reduce'

/** The standard operations that are worth having in C++; all others stay TensorFlow.js' own. */
export function registerOps(): void {
  registerMatMul()
  registerElementwise()
  registerReduce()
  registerLayout()
}
