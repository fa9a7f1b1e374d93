export {
  bitsandbytesParts,
  fromBitsandbytes,
  QUANT_STORAGE,
  type QuantizedWeight,
  type QuantStorage,
  quantStateJson,
  type StoredTensor,
  toBitsandbytes,
} from './bitsandbytes'
export { type Blockwise8bit, dequantizeBlockwise, quantizeBlockwise } from './blockwise8bit'
export { type QuantizeCheckpointOptions, type QuantizeProgress, quantizeCheckpoint } from './checkpoint'
export {
  createDynamicMap,
  DYNAMIC_MAP_SIGNED,
  DYNAMIC_MAP_UNSIGNED,
  FP4_MAP,
  NF4_MAP,
  type QuantType4bit,
  quantMap4bit,
} from './codebooks'
export {
  addQuantizationConfig,
  isQuantizable,
  type QuantizationConfig,
  type QuantizationConfigJson,
  type QuantizationConfigOptions,
  quantizationConfig,
  quantizationConfigFromJson,
  quantizationConfigToJson,
} from './config'
export { type QuantizationError, quantizationError } from './error'
export { type FloatData, type FloatDtype, type FloatTensor, findNonFinite, fromFloat32, toFloat32 } from './floats'
export type { NestedAbsmax } from './four-bit/double-quant'
export {
  absmaxOf,
  type Dequantize4bitOptions,
  dequantize4bit,
  type Quantize4bitOptions,
  type Quantized4bit,
  quantize4bit,
} from './four-bit/quantize'
export { dequantizeGguf, type QuantizeGgufOptions, quantizeGguf } from './gguf/gguf'
export { GGUF_BLOCKS, GGUF_TYPES, type GgufType } from './gguf/types'
export { dequantizeInt8, int8Linear, type QuantizedInt8, type QuantizeInt8Options, quantizeInt8 } from './int8'
export { type Columns, orthonormalize, timesTransposed } from './loftq/columns'
export { type LoftqInit, loftqInit } from './loftq/loftq'
export { type Svd, truncatedSvd } from './loftq/svd'
export { createQuantizationPool, type QuantizationPool } from './pool'
export { plotErrors, type QuantizationReport, type QuantizedLayer, reportToMarkdown } from './report'
export { FLOAT_DTYPES, type QuantizeWeightOptions, quantizeWeight } from './weights'
