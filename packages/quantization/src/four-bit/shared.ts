type Plain = Float32Array | Float64Array | Uint16Array | Uint8Array | Int8Array

/**
 * Memory that threads see, one buffer per name, used again and again: a thread that idles does not collect its garbage,
 * so fresh buffers for every weight would stay.
 */
export interface SharedMemory {
  take(name: string, bytes: number): ArrayBufferLike
}

export function createSharedMemory(): SharedMemory & { take(name: string, bytes: number): SharedArrayBuffer } {
  const buffers = new Map<string, SharedArrayBuffer>()
  return {
    take(name, bytes) {
      const known = buffers.get(name)
      if (known && known.byteLength >= bytes) return known
      const buffer = new SharedArrayBuffer(bytes)
      buffers.set(name, buffer)
      return buffer
    },
  }
}

/** For work in this thread: fresh memory of its own. */
export const ownMemory: SharedMemory = { take: (_, bytes) => new ArrayBuffer(bytes) }

/** The same numbers where threads see them; copied unless they are there already, or the memory is not shared. */
export function toShared<Data extends Plain>(data: Data, memory: SharedMemory, name: string): Data {
  if (memory === ownMemory || data.buffer instanceof SharedArrayBuffer) return data
  const Type = data.constructor as new (buffer: ArrayBufferLike, offset: number, length: number) => Data
  const copy = new Type(memory.take(name, data.byteLength), 0, data.length)
  copy.set(data)
  return copy
}

/** The same numbers in memory of their own, which can be transferred and written to files. */
export function unshared<Data extends Plain>(data: Data): Data {
  return data.buffer instanceof SharedArrayBuffer ? (data.slice() as Data) : data
}
