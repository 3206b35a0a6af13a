// Bundle the SDK's transports into one file, with the licences of what went in beside it.
// Usage: node assets/build_sdk.mjs BUNDLE_FILE LICENCES_FILE
// The output depends on the lock file only: no path, date or Node version gets into it.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import commonjs from '@rollup/plugin-commonjs';
import nodeResolve from '@rollup/plugin-node-resolve';
import { rollup } from '@rollup/wasm-node';
import { minify } from 'terser';

const ENTRY = fileURLToPath(new URL('entry.mjs', import.meta.url));
const NODE_MODULES = fileURLToPath(new URL('../node_modules', import.meta.url));
const BANNER = '/*! @openai/agents-realtime, transports only. Licences: openai-realtime-transports.LICENSES.txt */\n';

const [bundleFile, licencesFile] = process.argv.slice(2);
const chunk = await bundle();
writeFileSync(bundleFile, BANNER + (await shrink(chunk.code)) + '\n');
writeFileSync(licencesFile, licences(packagesIn(chunk)));

/** Join all modules into one; what is not reached from the entry is left out. */
async function bundle() {
  const build = await rollup({
    input: ENTRY,
    plugins: [nodeResolve({ browser: true }), commonjs()],
    onwarn: () => {}, // circular imports and comments inside the packages: nothing that we could change
  });
  const { output } = await build.generate({ format: 'es', inlineDynamicImports: true });
  if (output.length !== 1 || output[0].imports.length) throw new Error('The bundle is not one self-contained file.');
  return output[0];
}

/** Shorten the code; comments go, since the licences stand in their own file. */
async function shrink(code) {
  const { code: short } = await minify(code, { module: true, ecma: 2022, format: { comments: false } });
  return short;
}

/** Folders of the packages of which at least one line is in the bundle, by name. */
function packagesIn(builtChunk) {
  const folders = new Set();
  for (const [id, part] of Object.entries(builtChunk.modules)) {
    const inside = path.relative(NODE_MODULES, id.replace(/^\0/, '').replace(/\?.*$/, ''));
    if (!part.renderedLength || inside.startsWith('..') || path.isAbsolute(inside)) continue;
    const [first, second] = inside.split(path.sep);
    folders.add(first.startsWith('@') ? `${first}/${second}` : first);
  }
  return [...folders].sort();
}

/** The notice: name, version, licence and licence text of each package. */
function licences(names) {
  return names.map(licence).join('\n' + '='.repeat(80) + '\n\n');
}

function licence(name) {
  const folder = path.join(NODE_MODULES, name);
  const about = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((entry) => /^(licen[cs]e|copying)(\.|$)/i.test(entry));
  const text = file && existsSync(path.join(folder, file)) ? readFileSync(path.join(folder, file), 'utf8').trim() : '(the package carries no licence text)';
  return `${about.name} ${about.version}\nLicence: ${about.license}\n\n${text}\n`;
}
