export function withTable(readme: string, families: readonly object[]): string
