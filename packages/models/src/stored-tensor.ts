/** How a checkpoint holds a tensor that is not there as it is. */
export interface StoredTensor {
  /** Names of the tensors whose rows follow one another; one name where it is one tensor. */
  parts: readonly string[]
  /** Each is a matrix with rows and columns exchanged. Default false. */
  transposed?: boolean
}
