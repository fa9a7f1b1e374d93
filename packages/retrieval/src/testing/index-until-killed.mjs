// Indexes `node index-until-killed.mjs DIST PLACE [STORAGE_OPTIONS]` and says after each commit how many documents are in it, until it is killed or done.
const [dist, place, storage = 'null'] = process.argv.slice(2)
const { createIndex } = await import(dist)
const index = await createIndex(place, {
  chunk: { maxTokens: 16, overlap: 2 },
  storageOptions: JSON.parse(storage) ?? undefined,
})
function* documents() {
  for (let i = 0; i < 2000; i++) yield { id: `d${i}`, text: `Document word${i}. `.repeat(60) }
}
process.stdout.write('begun\n')
await index.add(documents(), { onCommit: ({ documents }) => process.stdout.write(`${documents}\n`) })
process.stdout.write('done\n')
