import { invalidData, invalidFile } from '@tunesmith/core'

/**
 * The text of a PDF, page after page.
 *
 * @throws {TunesmithError} `invalid_file` for what is no PDF, is damaged or needs a password; `invalid_data` for one without text.
 */
export async function pdfText(bytes: Uint8Array, where: string): Promise<string> {
  const { extractText, getDocumentProxy } = await import('unpdf')
  let pages: string[]
  try {
    // The reader takes the bytes as its own.
    const document = await getDocumentProxy(Uint8Array.from(bytes), { verbosity: 0 })
    pages = (await extractText(document, { mergePages: false })).text
    await document.destroy()
  } catch (cause) {
    const { name, message } = cause as Error
    throw invalidFile(
      name === 'PasswordException' ? 'The PDF needs a password' : `The PDF cannot be read: ${message}`,
      {
        where,
        remedy: name === 'PasswordException' ? 'Save a copy without one' : 'Check that it opens in a viewer',
        cause,
      },
    )
  }
  const text = pages
    .map((page) => page.trim())
    .filter((page) => page !== '')
    .join('\n\n')
  if (text === '')
    throw invalidData(`The PDF has ${pages.length} pages and no text; it seems to be scanned`, {
      where,
      remedy: 'Recognise its text first, with `ocrmypdf IN OUT` for example',
    })
  return text
}
