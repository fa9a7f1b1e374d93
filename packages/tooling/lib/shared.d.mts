export function sharedPath(name: string): string | undefined

export function sharedTensors(name: string): (<Values extends ArrayBufferView>(tensor: string) => Values) | undefined
