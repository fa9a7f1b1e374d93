export { bf16ToF32, createConversions, f16ToF32, f32ToBf16, f32ToF16, type HalfBits } from '@tunesmith/core'
export type { RepoFile, RepoFileInfo } from './connection/repo-files'
export { type ListRepoFilesOptions, listRepoFiles, type RepoFileInfoOptions, repoFileInfo } from './download/list-files'
export { otherFrameworks, type ResolveModelFolderOptions, resolveModelFolder } from './download/resolve-folder'
export { type DownloadProgress, type DownloadSnapshotOptions, downloadSnapshot } from './download/snapshot'
export { readJsonFile } from './json-file'
export { type OpenCheckpointOptions, openCheckpoint } from './safetensors/checkpoint'
export { dtypeBits, type SafetensorsDtype, safetensorsDtypes, tensorByteLength } from './safetensors/dtype'
export { openSafetensors, type SafetensorsFile, type TensorReader } from './safetensors/file'
export { parseSafetensorsHeader, type SafetensorsHeader, type TensorInfo } from './safetensors/header'
export {
  FLOAT_TENSOR_DTYPES,
  readFloats,
  tensorBytes,
  tensorMismatches,
  tensorValues,
} from './safetensors/tensor-values'
export {
  type TensorsToWrite,
  type TensorToWrite,
  type WriteSafetensorsOptions,
  writeSafetensors,
} from './safetensors/write'
export { type WriteShardedOptions, type WrittenCheckpoint, writeShardedSafetensors } from './safetensors/write-sharded'
export { type ModelCardOptions, modelCard } from './upload/model-card'
export {
  type UploadedCommit,
  type UploadFolderOptions,
  type UploadProgress,
  uploadFolder,
} from './upload/upload-folder'
