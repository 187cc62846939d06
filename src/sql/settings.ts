import type { RawNode } from './dialect.ts';
import type { SettingChange } from './facts.ts';
import { constant, list, qualified, stringConstant, text, unwrap } from './tree.ts';

/** Stands for "some setting that the text does not name". */
export const DYNAMIC_SETTING: SettingChange = { name: '*dynamic*', value: undefined };

/** Settings whose value is a list of identifiers (GUC_LIST_QUOTE): the server quotes each element before it joins them (guc_funcs.c). */
const QUOTED_LISTS: ReadonlySet<string> = new Set([
  'search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries', 'shared_preload_libraries', 'unix_socket_directories',
]);

/** The server compares names without regard to ASCII case only (guc_name_compare). */
function settingName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

export function settingChanges(node: RawNode): readonly SettingChange[] {
  const name = settingName(text(node, 'name') ?? '');
  switch (text(node, 'kind')) {
    case 'VAR_SET_VALUE':
      return [{ name, value: settingValue(name, list(node, 'args')) }];
    case 'VAR_SET_MULTI':
      // SET TRANSACTION ends with the transaction and changes no name or encoding. SESSION CHARACTERISTICS sets defaults that stay.
      return name === 'session characteristics' ? list(node, 'args').flatMap(sessionCharacteristic) : transactionModes(list(node, 'args'));
    case 'VAR_RESET_ALL':
      return [{ name: '*', value: undefined }];
    case 'VAR_SET_DEFAULT':
    case 'VAR_SET_CURRENT':
    case 'VAR_RESET':
      return [{ name, value: undefined }];
    default:
      return [DYNAMIC_SETTING];
  }
}

/** BEGIN ISOLATION LEVEL ..., SET TRANSACTION: of what they set, the level alone matters to anybody. */
export function transactionModes(options: readonly unknown[]): SettingChange[] {
  return options.flatMap((item) => {
    const option = unwrap(item, 'DefElem');
    return option !== undefined && text(option, 'defname') === 'transaction_isolation' ? [{ name: 'transaction_isolation', value: constant(option['arg']) }] : [];
  });
}

/** Whether transactions may be serializable afterwards. RESET goes back to what the session began with. */
export function maySerialize({ name, value }: SettingChange, resets: boolean): boolean {
  if (name === '*dynamic*') return value === undefined || /serializable/i.test(value);
  if (name !== 'transaction_isolation' && name !== 'default_transaction_isolation') return false;
  return value === undefined ? !resets : !/^(read uncommitted|read committed|repeatable read)$/i.test(value);
}

function sessionCharacteristic(argument: unknown): SettingChange[] {
  const option = unwrap(argument, 'DefElem');
  return option === undefined ? [] : [{ name: `default_${text(option, 'defname') ?? ''}`, value: constant(option['arg']) }];
}

function settingValue(name: string, values: readonly unknown[]): string | undefined {
  const parts = values.map(constant);
  if (parts.length === 0 || parts.some((part) => part === undefined)) return undefined;
  const quoted = QUOTED_LISTS.has(name) ? parts.map((part) => quoteIdentifier(part ?? '')) : parts;
  return quoted.join(', ');
}

function quoteIdentifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** `set_config('name', value, is_local)`: listed by its name if that is a plain string literal (a cast could truncate it), else as some setting; with its value if that is a literal. */
export function setConfigCall(call: RawNode): SettingChange | undefined {
  if (qualified(list(call, 'funcname'))?.name !== 'set_config') return undefined;
  const [nameArgument, valueArgument] = list(call, 'args');
  if (call['func_variadic'] === true) return DYNAMIC_SETTING;
  const name = stringConstant(nameArgument);
  const value = stringConstant(valueArgument);
  return { name: name === undefined ? DYNAMIC_SETTING.name : settingName(name), value };
}
