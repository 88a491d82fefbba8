// Runs SQL with DataFusion over a folder, which it sees as the bucket of the first query's
// LOCATION. Reads JSON from standard input, [folder, location, queries], and writes the
// text that DataFusion makes of each query's rows, as JSON.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, location, queries] = JSON.parse(fs.readFileSync(0, 'utf8'));
const [, bucket, root] = /^s3:\/\/([^/]+)\/(.*)$/.exec(location);

// The package is made for bundlers: without one, its two parts are put together by hand.
const wasm = createRequire(process.cwd() + '/').resolve('datafusion-wasm/datafusion_wasm_bg.wasm');
const parts = await import(pathToFileURL(wasm.replace(/wasm$/, 'js')));
const instance = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(wasm)), { './datafusion_wasm_bg.js': parts });
parts.__wbg_set_wasm(instance.exports);

const keys = fs.readdirSync(folder, { recursive: true }).filter((f) => fs.statSync(join(folder, f)).isFile()).map((f) => root + f).sort();
const sizeOf = (key) => fs.statSync(join(folder, key.slice(root.length))).size;

// list answers ListObjectsV2, in one page.
function list(search) {
  const prefix = search.get('prefix') ?? '';
  const below = keys.filter((k) => k.startsWith(prefix));
  const deeper = (k) => search.has('delimiter') && k.indexOf('/', prefix.length) >= 0;
  const folders = new Set(below.filter(deeper).map((k) => k.slice(0, k.indexOf('/', prefix.length) + 1)));
  const objects = below.filter((k) => !deeper(k)).map((k) => `<Contents><Key>${k}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>${sizeOf(k)}</Size></Contents>`);
  return new Response(`<ListBucketResult><Name>${bucket}</Name><Prefix>${prefix}</Prefix><KeyCount>${objects.length}</KeyCount><IsTruncated>false</IsTruncated>` +
    objects.join('') + [...folders].map((f) => `<CommonPrefixes><Prefix>${f}</Prefix></CommonPrefixes>`).join('') + '</ListBucketResult>');
}

// get answers GetObject of a range.
function get(key, range) {
  const body = fs.readFileSync(join(folder, key.slice(root.length)));
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range);
  return new Response(body.subarray(from, Number(to) + 1), { status: 206, headers: { 'content-range': `bytes ${from}-${to}/${body.length}` } });
}

globalThis.fetch = async (request) => {
  const url = new URL(request.url);
  const answer = url.searchParams.has('list-type') ? list(url.searchParams) : get(decodeURIComponent(url.pathname).slice(`/${bucket}/`.length), request.headers.get('range'));
  Object.defineProperty(answer, 'url', { value: request.url });
  return answer;
};

console.log = () => {}; // it greets
const context = parts.DataFusionContext.new();
context.set_s3_config('/', bucket, 'us-east-1', 'key', 'secret');
const answers = [];
for (const query of queries) {
  answers.push(await context.execute_sql(query));
}
process.stdout.write(JSON.stringify(answers));
