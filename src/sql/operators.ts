import type { RawNode } from './dialect.ts';
import type { OperatorUse } from './facts.ts';
import { list, qualified, text, unwrap } from './tree.ts';

const EQUALS: OperatorUse = { schema: undefined, name: '=' };
const NONE: readonly OperatorUse[] = [];

/** BETWEEN is expanded into comparisons that are looked up by name (transformAExprBetween). NOT BETWEEN uses the opposites. */
const BETWEEN: readonly OperatorUse[] = ['>=', '<=', '<', '>'].map((name) => ({ schema: undefined, name }));

/** Operators that a node applies, spelled out or implied by its syntax. All are listed: an operator of the same name may stand in another schema. */
export function operatorsOf(kind: string, node: RawNode): readonly OperatorUse[] {
  switch (kind) {
    case 'A_Expr':
      return text(node, 'kind')?.includes('BETWEEN') === true ? BETWEEN : named(list(node, 'name'));
    case 'SubLink': {
      // `x IN (SELECT ...)` comes without a name and means `= ANY`.
      const operators = named(list(node, 'operName'));
      return operators.length === 0 && text(node, 'subLinkType') === 'ANY_SUBLINK' ? [EQUALS] : operators;
    }
    case 'SortBy':
      return named(list(node, 'useOp'));
    case 'CaseExpr':
      return node['arg'] === undefined ? NONE : [EQUALS];
    case 'JoinExpr':
      return node['usingClause'] !== undefined || node['isNatural'] === true ? [EQUALS] : NONE;
    case 'Constraint':
      return list(node, 'exclusions').flatMap((exclusion) => named(list(unwrap(list(unwrap(exclusion, 'List'), 'items')[1], 'List'), 'items')));
    default:
      return NONE;
  }
}

function named(values: readonly unknown[]): readonly OperatorUse[] {
  const name = qualified(values);
  return name === undefined ? NONE : [name];
}
