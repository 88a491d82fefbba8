// Package load writes the warehouse. Arrow records of a table go to a [Spool],
// a local Parquet file that nobody else sees, of which an export has one for each
// table ([Spools]); the finished files are published together to a [Store], the exports record last, which commits
// them; [Verify] reads everything back and compares it with that record.
package load
