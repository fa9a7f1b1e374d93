/** A mistake of the template or of what it was given; the message is Python's, or close to it. */
export class TemplateFault extends Error {}

/** Something that is sound in Python and not to be had here; the message names it. */
export class Unsupported extends Error {}

/** A mistake or an unsupported construct that was found while a template was read, before it met any variables. */
export class TemplateSyntaxFault extends Error {
  constructor(
    message: string,
    readonly line: number,
    readonly unsupported = false,
  ) {
    super(message)
  }
}

/** The rendering went over its budget; the message is a verb phrase about the template. */
export class OverBudget extends Error {}
