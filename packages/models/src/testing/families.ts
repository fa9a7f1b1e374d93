import families from './families.json' with { type: 'json' }

/** A family with the tests that prove it; the table of the README is made of this. */
export interface Family {
  modelType: string
  /** `model_type` of models of more than text, whose text half it is. */
  whole?: string
  /** Names of published models. */
  models: string
  /** Folders of tiny models of transformers. */
  fixtures: string[]
  /** Parts of a config.json for the export to llama.cpp that is compared with it; absent where there is none. */
  gguf?: Record<string, unknown>
  /** What the export leaves out. */
  ggufNote?: string
}

export const FAMILIES: readonly Family[] = families
