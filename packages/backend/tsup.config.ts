import { library } from '@tunesmith/tooling/tsup'

// tfjs-core publishes its gradients only as loose modules that Node cannot import, so they travel in our bundle.
// They find the engine through its global, so there is still one.
export default library({
  entry: ['src/index.ts', 'src/contract/index.ts'],
  noExternal: [/tfjs-core\/dist\/register_all_gradients/],
})
