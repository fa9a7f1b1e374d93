export { type TestAdapterOptions, testAdapter } from './test-adapter'
export { TINY_CONFIG, type TinyModelOptions, tinyModel } from './tiny-model'
