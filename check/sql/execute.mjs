// Evaluates queries with GoogleSQL's reference implementation, a server that npm ships for
// Linux and macOS. Each line of the input is an EvaluateQueryRequest as JSON, without its
// options; each line of the output is the response, or {"error": "..."}. Numbers of 64 bits
// and those that are not finite are texts.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const require = createRequire(import.meta.url);
const { ZetaSQLClient } = require('@fivetrandevelopers/zetasql');

const port = await new Promise((done) => {
  const free = createServer().listen(0, 'localhost', () => {
    const { port } = free.address();
    free.close(() => done(port));
  });
});
const file = 'remote_server' + (process.arch === 'arm64' ? '_arm' : '') + (process.platform === 'darwin' ? '' : '.so');
const server = spawn(join(dirname(require.resolve('@fivetrandevelopers/zetasql')), 'zetasql', file), ['localhost', String(port)], {
  stdio: ['ignore', 'ignore', 'inherit'],
});
server.on('error', (err) => { throw err; });
server.on('exit', (code, signal) => { throw new Error(`the server ended: ${code ?? signal}`); });
process.on('exit', () => server.kill('SIGKILL'));

ZetaSQLClient.init(port);
const api = ZetaSQLClient.API;
const call = (method, request) => promisify(api[method].bind(api))(request);
await promisify(api.waitForReady.bind(api))(Date.now() + 120_000);

const options = {
  languageOptions: {
    ...await call('getLanguageOptions', { maximumFeatures: true }),
    productMode: 'PRODUCT_EXTERNAL', // FLOAT64 instead of DOUBLE
    reservedKeywords: ['QUALIFY'],
  },
  // Those of BigQuery's features that the reference implementation leaves to a rewriter.
  enabledRewrites: ['REWRITE_FLATTEN', 'REWRITE_UNPIVOT', 'REWRITE_PIVOT', 'REWRITE_ARRAY_INCLUDES', 'REWRITE_TYPEOF_FUNCTION', 'REWRITE_WITH_EXPR'],
};

// plain keeps what JSON would lose.
const plain = (key, value) => {
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return value !== null && typeof value === 'object' && 'low' in value && 'high' in value ? value.toString() : value;
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  request.options = options;
  request.simpleCatalog.builtinFunctionOptions = { languageOptions: options.languageOptions };
  const answer = await call('evaluateQuery', request).catch((err) => ({ error: err.details ?? err.message }));
  process.stdout.write(JSON.stringify(answer, plain) + '\n');
}
process.exit();
