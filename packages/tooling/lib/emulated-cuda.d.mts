export function emulateCuda(precision: 'f32' | 'bf16'): boolean
