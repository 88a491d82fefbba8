package load

import (
	"github.com/cvexport/cvexport/load/tablefile/tablefiletest"
	"github.com/cvexport/cvexport/schema"
)

type row = tablefiletest.Row

var (
	goldenRows = tablefiletest.Golden
	record     = tablefiletest.Record
	recordAs   = tablefiletest.RecordAs
)

var (
	projectA   = id("1a1a1a1a-0000-4000-8000-000000000001")
	iterationA = id("2b2b2b2b-0000-4000-8000-000000000002")
	exportA    = tablefiletest.ExportID
	exportB    = id("0190bbbb-0000-7000-8000-00000000000b")
)

func id(s string) schema.ID {
	parsed, err := schema.ParseID(s)
	if err != nil {
		panic(err)
	}
	return parsed
}

func nthID(kind byte, n int) string {
	return schema.ID{kind, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}.String()
}
