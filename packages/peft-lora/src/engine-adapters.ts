import type { EngineAdapters } from '@tunesmith/models'
import { loadAdapter } from './files'
import type { PeftModel } from './peft-model'

/** A model's adapters for an `Engine`: each request names the one that answers it. */
export const engineAdapters = (peft: PeftModel): EngineAdapters => ({
  names: () => peft.adapterNames,
  async load(name, folder) {
    await loadAdapter(peft, folder, name)
  },
  unload(name) {
    peft.deleteAdapter(name)
  },
})
