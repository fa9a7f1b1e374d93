import { expect, it } from 'vitest'
import { findCycles } from './cycles.mjs'

const graph = (edges) => new Map(Object.entries(edges).map(([node, next]) => [node, new Set(next)]))

it('finds none in a diamond', () => {
  expect(findCycles(graph({ a: ['b', 'c'], b: ['d'], c: ['d'], d: [] }))).toEqual([])
})

it('finds each circle once, whatever leads into it', () => {
  expect(findCycles(graph({ a: ['b'], b: ['c'], c: ['b', 'd'], d: ['e'], e: ['d'] }))).toEqual([
    ['d', 'e'],
    ['b', 'c'],
  ])
})

it('counts a node that points at itself', () => {
  expect(findCycles(graph({ a: ['a'] }))).toEqual([['a']])
})
