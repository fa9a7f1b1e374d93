import type { Adapter } from '../adapter'
import { lora } from './lora/lora'

/** The adapters that are always known. Inside, an adapter only ever meets configurations that its own schema made. */
export const builtinAdapters = [lora] as unknown as readonly Adapter[]
