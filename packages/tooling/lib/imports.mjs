/** Every module that a TypeScript or JavaScript file names, with its line. */
import ts from 'typescript'

/**
 * Static, dynamic and type imports, re-exports, `require`, `require.resolve`, `import.meta.resolve` and module
 * augmentations, from the syntax tree: a comment or a string that merely looks like an import does not count.
 *
 * @returns {{ specifier: string, line: number, typeOnly: boolean, dynamic: boolean }[]}
 */
export function importsOf(path, text) {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, false)
  const found = []
  const add = (literal, { typeOnly = false, dynamic = false } = {}) => {
    if (!literal || !ts.isStringLiteralLike(literal)) return
    const line = source.getLineAndCharacterOfPosition(literal.getStart(source)).line + 1
    found.push({ specifier: literal.text, line, typeOnly, dynamic })
  }
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, { typeOnly: isTypeOnlyImport(node.importClause) })
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, { typeOnly: isTypeOnlyExport(node) })
    else if (ts.isImportTypeNode(node)) add(node.argument.literal, { typeOnly: true })
    else if (ts.isImportEqualsDeclaration(node)) add(node.moduleReference.expression, { typeOnly: node.isTypeOnly })
    else if (ts.isModuleDeclaration(node)) add(node.name, { typeOnly: true })
    else if (ts.isCallExpression(node) && isLoader(node.expression)) add(node.arguments[0], { dynamic: true })
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

/** Whether every name in `{ ... }` is a type. */
const allTypes = (named) => named?.elements?.length > 0 && named.elements.every((each) => each.isTypeOnly)

const isTypeOnlyImport = (clause) =>
  Boolean(clause && (clause.isTypeOnly || (!clause.name && allTypes(clause.namedBindings))))

const isTypeOnlyExport = (node) => Boolean(node.isTypeOnly || allTypes(node.exportClause))

function isLoader(expression) {
  if (expression.kind === ts.SyntaxKind.ImportKeyword) return true
  if (ts.isIdentifier(expression)) return expression.text === 'require'
  if (!ts.isPropertyAccessExpression(expression) || expression.name.text !== 'resolve') return false
  const target = expression.expression
  return ts.isMetaProperty(target) || (ts.isIdentifier(target) && target.text === 'require')
}
