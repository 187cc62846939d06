import { copyFacts } from './copy-facts.ts';
import { outputColumns } from './output-columns.ts';
import type { ParsedStatement, RawNode } from './dialect.ts';
import { isExactType, withoutPinsBy } from './exact-types.ts';
import { collect } from './fact-collector.ts';
import type { NamedAction, StatementFacts } from './facts.ts';
import { selectKind, statementTraits } from './statement-kinds.ts';
import { child, list, open, optionIsOn, qualified, text, unwrap } from './tree.ts';

/** CURSOR_OPT_HOLD (parsenodes.h). */
const CURSOR_OPT_HOLD = 0x0020;

export function statementFacts({ tree, offset, length }: ParsedStatement): StatementFacts {
  const top = open(tree);
  const node = top?.body ?? {};
  const nodeKind = top?.kind ?? 'unknown';
  const collected = collect(tree);
  return {
    ...collected,
    kind: nodeKind === 'SelectStmt' ? selectKind(node) : statementTraits(nodeKind, node)?.kind ?? 'other',
    node: nodeKind,
    copy: nodeKind === 'CopyStmt' ? copyFacts(node) : undefined,
    outputs: outputColumns(nodeKind, node),
    named: namedAction(nodeKind, node, collected.types),
    body: undefined,
    explainAnalyze: nodeKind === 'ExplainStmt' && isAnalyze(node),
    offset,
    length,
  };
}

/** Several ANALYZE options may contradict each other; one that is on counts. */
function isAnalyze(explain: RawNode): boolean {
  return list(explain, 'options').some((item) => {
    const option = unwrap(item, 'DefElem');
    return option !== undefined && text(option, 'defname') === 'analyze' && optionIsOn(option);
  });
}

/** `types`: those that the statement names. */
function namedAction(nodeKind: string, node: RawNode, types: StatementFacts['types']): NamedAction | undefined {
  switch (nodeKind) {
    case 'PrepareStmt':
      // EXECUTE makes values of the parameters' types, which the query need not name.
      return { kind: 'prepare', name: text(node, 'name') ?? '', body: { ...preparedFacts(node), types } };
    case 'DeclareCursorStmt': {
      const options = typeof node['options'] === 'number' ? node['options'] : 0;
      return { kind: 'declare', name: text(node, 'portalname') ?? '', body: innerFacts(node), hold: (options & CURSOR_OPT_HOLD) !== 0 };
    }
    case 'ExecuteStmt':
      return { kind: 'execute', name: text(node, 'name') ?? '' };
    case 'ExplainStmt':
    case 'CreateTableAsStmt': {
      // EXPLAIN EXECUTE p, CREATE TABLE t AS EXECUTE p, and EXPLAIN CREATE TABLE t AS EXECUTE p
      const inner = open(node['query']);
      return inner?.kind === 'ExecuteStmt' || inner?.kind === 'CreateTableAsStmt' ? namedAction(inner.kind, inner.body, types) : undefined;
    }
    case 'DeallocateStmt':
      return { kind: 'deallocate', name: node['isall'] === true ? undefined : text(node, 'name') };
    case 'FetchStmt':
      return { kind: 'fetch', name: text(node, 'portalname') ?? '', move: node['ismove'] === true };
    case 'ClosePortalStmt':
      return { kind: 'close', name: text(node, 'portalname') };
    case 'DiscardStmt':
      return { kind: 'discard', what: discarded(text(node, 'target')) };
    default:
      return undefined;
  }
}

/** A parameter of a type is as good as a cast to it. */
function preparedFacts(node: RawNode): StatementFacts {
  const facts = innerFacts(node);
  const types = list(node, 'argtypes').map((each) => qualified(list(unwrap(each, 'TypeName'), 'names')));
  const { pins, ...others } = withoutPinsBy(types.flatMap((type, i) => (type !== undefined && isExactType(type) ? [] : [i + 1])), facts);
  const castOf = (parameter: number | undefined): string | undefined => {
    const type = types[(parameter ?? 0) - 1];
    return type?.schema === undefined ? type?.name : undefined;
  };
  return { ...others, pins: pins?.map((pin) => ({ ...pin, cast: pin.cast ?? castOf(pin.parameter) })) };
}

/** The query of PREPARE and DECLARE as a statement of its own. The grammar does not let these two nest. */
function innerFacts(node: RawNode): StatementFacts {
  return statementFacts({ tree: child(node, 'query') ?? {}, offset: 0, length: 0 });
}

function discarded(target: string | undefined): 'all' | 'plans' | 'temp' | 'sequences' {
  switch (target) {
    case 'DISCARD_PLANS': return 'plans';
    case 'DISCARD_TEMP': return 'temp';
    case 'DISCARD_SEQUENCES': return 'sequences';
    default: return 'all';
  }
}
