// Builds the crates into wasm/pkg/<name>/ (WebAssembly, glue for `--target web`, types) and records how in wasm/pkg/build.json.
//
// Why: the packages are committed, so that nobody needs Rust to run or test Stator; this says how they came about and lets CI
// rebuild and compare. Needs rustc with the wasm32-unknown-unknown target, wasm-bindgen-cli and, if it is there, wasm-opt
// (npm package binaryen). Without them it explains what is missing and the committed packages stay as they are.
//
//   node wasm/build.mjs               rebuild
//   node wasm/build.mjs --if-changed  rebuild only when the sources differ from those recorded
//   node wasm/build.mjs --check       rebuild aside and compare: equal bytes when the toolchain is the recorded one
//
// Invariant: no path of this machine gets into the output (paths are remapped), so equal toolchains give equal bytes.
// Plain Node (20 or later), no packages. Cost: about two minutes from nothing.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.dirname(here);
const crates = { radix: 'stator_radix', tokens: 'stator_tokens', grammar: 'stator_grammar' };
/** What only one crate needs: grammars of strangers can exhaust the stack, and then the instance is replaced. */
const bindgenFlags = { grammar: ['--experimental-reset-state-function'] };
const target = 'wasm32-unknown-unknown';
const record = path.join(here, 'pkg', 'build.json');
const rustFlags = '-Ctarget-feature=+simd128,+bulk-memory,+nontrapping-fptoint,+sign-ext';
const wasmOptFlags = [
  '-O3',
  '--enable-simd',
  '--enable-bulk-memory',
  '--enable-bulk-memory-opt',
  '--enable-nontrapping-float-to-int',
  '--enable-sign-ext',
  '--enable-mutable-globals',
  '--enable-reference-types',
  '--enable-multivalue',
  '--strip-debug',
  '--strip-producers',
];

function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  return {
    ok: result.status === 0,
    out: result.stdout ?? '',
    err: (result.error?.message ?? '') + (result.stderr ?? ''),
  };
}

function sha256(data) {
  return createHash('sha256').update(data).digest('hex');
}

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const full = path.join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(full) : [full];
  });
}

/** Hash over names and contents of everything that decides the output. */
function sourceHash() {
  const files = ['Cargo.toml', 'Cargo.lock'].map((name) => path.join(here, name));
  for (const crate of Object.keys(crates)) {
    files.push(path.join(here, crate, 'Cargo.toml'), ...filesUnder(path.join(here, crate, 'src')));
  }
  const hash = createHash('sha256').update(JSON.stringify([rustFlags, wasmOptFlags]));
  for (const file of files.sort()) {
    hash.update(`${path.relative(here, file).split(path.sep).join('/')}\0${sha256(readFileSync(file))}\0`);
  }
  return hash.digest('hex');
}

function outputHashes(folder) {
  const names = Object.keys(crates).flatMap((crate) =>
    readdirSync(path.join(folder, crate))
      .sort()
      .map((name) => `${crate}/${name}`),
  );
  return Object.fromEntries(
    names.map((name) => {
      const data = readFileSync(path.join(folder, name));
      return [name, { bytes: data.length, sha256: sha256(data) }];
    }),
  );
}

/** wasm-opt from the project's packages, from WASM_OPT, or from PATH. */
function findWasmOpt() {
  const local = path.join(root, 'node_modules', 'binaryen', 'bin', 'wasm-opt');
  const candidates = [process.env.WASM_OPT, existsSync(local) ? local : undefined, 'wasm-opt'].filter(
    Boolean,
  );
  for (const candidate of candidates) {
    const script = existsSync(candidate) && readFileSync(candidate).subarray(0, 2).toString() === '#!';
    const [command, prefix] = script ? [process.execPath, [candidate]] : [candidate, []];
    const version = run(command, [...prefix, '--version']);
    if (version.ok) return { command, prefix, version: version.out.trim() };
  }
  return undefined;
}

/** What is there to build with, or what is missing and how to get it. */
function toolchain() {
  const missing = [];
  const rustc = run('rustc', ['-vV']);
  if (!rustc.ok || !run('cargo', ['--version']).ok)
    missing.push('rustc and cargo (rustup.rs, or your distribution)');
  const sysroot = rustc.ok ? run('rustc', ['--print', 'sysroot']).out.trim() : '';
  if (rustc.ok && !existsSync(path.join(sysroot, 'lib', 'rustlib', target, 'lib'))) {
    missing.push(
      `the ${target} standard library (rustup target add ${target}; Debian: sh wasm/toolchain.sh)`,
    );
  }
  const bindgen = run('wasm-bindgen', ['--version']);
  const wanted = /wasm-bindgen = "=([^"]+)"/.exec(readFileSync(path.join(here, 'Cargo.toml'), 'utf8'))[1];
  if (!bindgen.ok || !bindgen.out.includes(wanted)) {
    missing.push(`wasm-bindgen ${wanted} (cargo install wasm-bindgen-cli --version ${wanted})`);
  }
  const wasmOpt = findWasmOpt();
  if (wasmOpt === undefined) missing.push('wasm-opt (npm install --no-save binaryen, or set WASM_OPT)');
  if (missing.length > 0) return { missing };
  const release = /^release: (.*)$/m.exec(rustc.out)[1];
  const commit = /^commit-hash: (.*)$/m.exec(rustc.out)[1];
  return {
    missing,
    sysroot,
    wasmOpt,
    versions: { rustc: `${release} (${commit})`, wasmBindgen: wanted, wasmOpt: wasmOpt.version },
  };
}

/** Paths of this machine and what stands for them in the output. */
function remaps(sysroot) {
  const cargo = process.env.CARGO_HOME ?? path.join(homedir(), '.cargo');
  const registry = path.join(cargo, 'registry', 'src');
  const registries = existsSync(registry)
    ? readdirSync(registry).map((name) => path.join(registry, name))
    : [];
  return [
    [homedir(), '/home'],
    [cargo, '/cargo'],
    [sysroot, '/rust'],
    ...registries.map((name) => [name, '/crates']),
    [root, '/stator'],
    [here, '/stator/wasm'],
  ];
}

function mustRun(what, command, args, options) {
  const result = run(command, args, options);
  if (!result.ok) throw new Error(`${what} failed:\n${result.err || result.out}`);
}

function build(tools, into, cargoFlags = []) {
  // First the sources of the dependencies, so that their folders are known when paths are remapped.
  mustRun('cargo fetch', 'cargo', ['fetch', ...cargoFlags, '--target', target], { cwd: here });
  const flags = [
    rustFlags,
    ...remaps(tools.sysroot).map(([from, to]) => `--remap-path-prefix=${from}=${to}`),
  ];
  const targetFolder = process.env.CARGO_TARGET_DIR ?? path.join(here, 'target');
  const env = { ...process.env, CARGO_ENCODED_RUSTFLAGS: flags.join('\x1f'), CARGO_TARGET_DIR: targetFolder };
  for (const [folder, name] of Object.entries(crates)) {
    // One by one: built together, a crate would get the features that another asks of a shared dependency.
    const crate = name.replace('_', '-');
    const flagsOfCrate = ['build', '--release', '--package', crate, ...cargoFlags, '--target', target];
    mustRun(`cargo build of ${crate}`, 'cargo', flagsOfCrate, { cwd: here, env });
    const out = path.join(into, folder);
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out, { recursive: true });
    mustRun('wasm-bindgen', 'wasm-bindgen', [
      '--target',
      'web',
      '--out-dir',
      out,
      '--remove-name-section',
      '--remove-producers-section',
      ...(bindgenFlags[folder] ?? []),
      path.join(targetFolder, target, 'release', `${name}.wasm`),
    ]);
    const wasm = path.join(out, `${name}_bg.wasm`);
    const { command, prefix } = tools.wasmOpt;
    mustRun('wasm-opt', command, [...prefix, ...wasmOptFlags, wasm, '-o', wasm]);
  }
}

function compare(recorded, tools) {
  const aside = mkdtempSync(path.join(tmpdir(), 'stator-wasm-'));
  try {
    build(tools, aside, ['--locked']);
    const fresh = outputHashes(aside);
    const differing = Object.keys({ ...recorded.outputs, ...fresh }).filter(
      (name) => fresh[name]?.sha256 !== recorded.outputs[name]?.sha256,
    );
    if (differing.length === 0) {
      console.log('wasm/pkg is exactly what its sources give.');
      return 0;
    }
    if (JSON.stringify(recorded.toolchain) !== JSON.stringify(tools.versions)) {
      console.log(
        `toolchain differs: run the tests\n  recorded ${JSON.stringify(recorded.toolchain)}\n` +
          `  here     ${JSON.stringify(tools.versions)}`,
      );
      return 0;
    }
    console.error(`wasm/pkg is not what its sources give: ${differing.join(', ')}. Run: node wasm/build.mjs`);
    return 1;
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

function main(args) {
  const unknown = args.find((arg) => arg !== '--check' && arg !== '--if-changed');
  if (unknown !== undefined) {
    console.error(`unknown argument ${unknown}; there are --check and --if-changed`);
    return 2;
  }
  const recorded = existsSync(record) ? JSON.parse(readFileSync(record, 'utf8')) : undefined;
  const sources = sourceHash();
  const committed = Object.entries(recorded?.outputs ?? {}).every(([name, { sha256: wanted }]) => {
    const file = path.join(here, 'pkg', name);
    return existsSync(file) && sha256(readFileSync(file)) === wanted;
  });
  if (args.includes('--if-changed') && recorded?.sources === sources && committed) return 0;
  if (args.includes('--check') && (recorded === undefined || recorded.sources !== sources || !committed)) {
    console.error(
      'wasm/pkg/build.json does not describe the sources or the packages here. Run: node wasm/build.mjs',
    );
    return 1;
  }
  const tools = toolchain();
  if (tools.missing.length > 0) {
    console.error(
      `The WebAssembly packages cannot be rebuilt here. Missing:\n  - ${tools.missing.join('\n  - ')}`,
    );
    if (recorded === undefined) return 1;
    console.error(
      'The committed packages in wasm/pkg stay in use' +
        (recorded.sources === sources ? '; they match the sources.' : ', although the sources have changed.'),
    );
    return args.includes('--if-changed') || args.includes('--check') ? 0 : 1;
  }
  if (args.includes('--check')) return compare(recorded, tools);
  const aside = mkdtempSync(path.join(tmpdir(), 'stator-wasm-'));
  try {
    build(tools, aside);
    cpSync(aside, path.join(here, 'pkg'), { recursive: true });
    const contents = { toolchain: tools.versions, sources: sourceHash(), outputs: outputHashes(aside) };
    writeFileSync(record, `${JSON.stringify(contents, null, 2)}\n`);
    for (const [name, { bytes }] of Object.entries(contents.outputs)) {
      if (name.endsWith('.wasm')) console.log(`wasm/pkg/${name}: ${bytes} bytes`);
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return 0;
}

process.exitCode = main(process.argv.slice(2));
