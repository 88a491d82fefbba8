// Package load writes the warehouse. Arrow records of a table go to a [Spool],
// a local Parquet file that nobody else sees; the finished files of an export
// are published together to a [Store], the exports record last, which commits
// them; [Verify] reads everything back and compares it with that record.
package load
