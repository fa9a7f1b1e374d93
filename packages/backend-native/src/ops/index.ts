import { registerMatMul } from './mat-mul'

/** The standard operations that are worth having in C++; all others stay TensorFlow.js' own. */
export function registerOps(): void {
  registerMatMul()
}
