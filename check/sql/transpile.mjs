// Reads a JSON list of BigQuery queries and writes the list translated to DuckDB.
import { readFileSync } from 'node:fs';
import { transpile } from '@polyglot-sql/sdk';

const translated = JSON.parse(readFileSync(0, 'utf8')).map((query) => {
  const result = transpile(query, 'bigquery', 'duckdb', { pretty: true });
  if (!result.success || result.sql.length !== 1) {
    throw new Error(`${result.error ?? 'not one statement'}: ${query}`);
  }
  return result.sql[0];
});
process.stdout.write(JSON.stringify(translated));
