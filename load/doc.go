// Package load writes the warehouse. An export's Arrow records go to [Spools]: for each
// table one local Parquet file that nobody else sees. [Publish] puts the finished files
// into a [store.Store], the exports record last, which commits them. [Verify] reads
// everything back and compares it with that record.
package load
