import { bodyConditions } from './conditionsBody'
import { chestConditions } from './conditionsChest'
import { mindConditions } from './conditionsMind'
import type { Condition } from './types'

export const conditions: Condition[] = [...chestConditions, ...bodyConditions, ...mindConditions]
