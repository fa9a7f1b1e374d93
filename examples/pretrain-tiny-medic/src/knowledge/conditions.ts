import { bodyConditions } from './conditions-body'
import { chestConditions } from './conditions-chest'
import { mindConditions } from './conditions-mind'
import type { Condition } from './types'

export const conditions: Condition[] = [...chestConditions, ...bodyConditions, ...mindConditions]
