// Join the voice page's modules into a few files, and its style sheets into one, without comments.
// Usage: node assets/build_page.mjs STATIC_FOLDER OUT_FOLDER SCRIPT STYLE_SHEET…   (both by path in STATIC_FOLDER)
// What a module fetches by `import()` stays a file of its own.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { rollup } from '@rollup/wasm-node';
import { minify } from 'terser';

const [staticFolder, outFolder, script, ...styleSheets] = process.argv.slice(2);
const build = await rollup({ input: path.join(staticFolder, script), onwarn: refuse });
// Names without hash: collecting static files gives them one, and the import map tells it to the modules.
const { output } = await build.generate({ format: 'es', entryFileNames: '[name].js', chunkFileNames: '[name].js' });
const scripts = await Promise.all(output.map(async ({ fileName, code }) => [fileName, await shrink(code)]));
const styles = styleSheets.map((sheet) => readFileSync(path.join(staticFolder, sheet), 'utf8')).join('');

mkdirSync(outFolder, { recursive: true });
for (const [name, text] of [...scripts, ['page.css', styles]]) writeFileSync(path.join(outFolder, name), text);

/** @param {string} code */
async function shrink(code) {
  const { code: short } = await minify(code, { module: true, ecma: 2022, format: { comments: false } });
  return short;
}

/** In modules of our own each warning is a mistake: a name that is not exported, a module that imports itself. */
function refuse(warning) {
  throw new Error(warning.message);
}
