import './testing/native'

await import('@tunesmith/backend/testing/kernels/block-suite')
await import('@tunesmith/backend/testing/kernels/linear-suite')
await import('@tunesmith/backend/testing/kernels/training-suite')
await import('@tunesmith/backend/testing/kernels/adamw-8bit-suite')
