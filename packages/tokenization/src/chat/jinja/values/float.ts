/**
 * A Python float. A plain JavaScript number is an int when it is whole, so that `20.0` needs a form of its own.
 *
 * It is a `Number` object: arithmetic takes it as the number it holds.
 */
export class Float extends Number {}
