/** Reads CSV (RFC 4180; also `;` or tab separated, as spreadsheets in some languages save it) into rows by column name. */
export function parseCsv(text: string): Record<string, string>[] {
  const body = text.replace(/^\ufeff/, '')
  const heading = body.split(/\r?\n/, 1)[0]
  const separator = [',', ';', '\t'].reduce((best, s) =>
    heading.split(s).length > heading.split(best).length ? s : best,
  )
  const table: string[][] = [[]]
  let cell = ''
  let quoted = false
  const endCell = () => {
    table[table.length - 1].push(cell)
    cell = ''
  }
  for (let i = 0; i < body.length; i++) {
    const character = body[i]
    if (quoted) {
      if (character !== '"') cell += character
      else if (body[i + 1] === '"') {
        cell += '"'
        i++
      } else quoted = false
    } else if (character === '"' && cell === '') quoted = true
    else if (character === separator) endCell()
    else if (character === '\n') {
      cell = cell.replace(/\r$/, '')
      endCell()
      table.push([])
    } else cell += character
  }
  if (cell !== '' || table[table.length - 1].length > 0) endCell()
  const [names = [], ...rows] = table
  return rows
    .filter((cells) => cells.some((value) => value !== ''))
    .map((cells) => Object.fromEntries(names.map((name, i) => [name.trim(), cells[i] ?? ''])))
}
