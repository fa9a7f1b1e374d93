// Indexes `node index-until-killed.mjs DIST FOLDER` and says after each commit how many documents are in it, until it is killed or done.
const [dist, folder] = process.argv.slice(2)
const { createIndex } = await import(dist)
const index = await createIndex(folder, { chunk: { maxTokens: 16, overlap: 2 } })
function* documents() {
  for (let i = 0; i < 2000; i++) yield { id: `d${i}`, text: `Document word${i}. `.repeat(60) }
}
process.stdout.write('begun\n')
await index.add(documents(), { onCommit: ({ documents }) => process.stdout.write(`${documents}\n`) })
process.stdout.write('done\n')
