/** How a number of mutants is divided among the targets: by what one load costs, and by how much there is to damage. */
export const shares = {
  safetensors: 2,
  parquet: 2,
  csv: 2,
  json: 3,
  tokenizer: 4,
  template: 3,
  config: 1.5,
  adapter: 1.5,
  yaml: 2,
}
