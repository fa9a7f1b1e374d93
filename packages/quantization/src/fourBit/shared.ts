type Plain = Float32Array | Uint16Array | Uint8Array

/** The same numbers in memory that threads can share; copied unless they are there already. */
export function toShared<Data extends Plain>(data: Data): Data {
  if (data.buffer instanceof SharedArrayBuffer) return data
  const copy = new (data.constructor as new (buffer: SharedArrayBuffer) => Data)(new SharedArrayBuffer(data.byteLength))
  copy.set(data)
  return copy
}

/** The same numbers in memory of their own, which can be transferred and written to files. */
export function unshared<Data extends Plain>(data: Data): Data {
  return data.buffer instanceof SharedArrayBuffer ? (data.slice() as Data) : data
}
