// Package tablefile writes the Arrow records of a table as one Parquet file, and reads
// such files. [Writer] takes the records of a table without lists; [Encode] makes a
// small file of one record that may have lists. [Open] reads both.
//
// # What a file holds
//
// Row groups of at most [RowGroupRows] rows. A column chunk is either pages of plain
// values of about 256 KiB each, or a dictionary page and one page of indices, if the
// schema says that the column repeats and the first row group agrees. Data pages are
// version 1, with definition levels for columns that may be null. All pages are
// compressed with zstd. The footer has the number of nulls of each column chunk, the
// minimum and the maximum of those without a dictionary, and the keys cvexport.table,
// cvexport.export_id and cvexport.schema_version. There is no page index, no Bloom
// filter and no Arrow schema. This is the part of the format that old readers know.
//
// # Why the pages are made here
//
// Schema, statistics and footer are those of Arrow's parquet/metadata. Pages and their
// headers are made by this package, because both Go libraries need much more CPU and
// memory for them. Measured on a whole pipeline, 10,240 images of 40 predictions from
// JSON on disk to published files, 7 runs each in turn on two cores of an AMD EPYC,
// median and range, all with the zstd encoder of this package:
//
//	                                CPU in s             peak memory in MiB   bytes
//	this package, GOGC=50           0.52 (0.51 to 0.55)    77 (75 to 78)      19,046,533
//	pqarrow 18.8, GOGC=50           0.74 (0.70 to 0.79)    98 (97 to 103)     19,064,436
//	pqarrow 18.8, GOGC=100          0.70 (0.67 to 0.78)   110 (103 to 112)    19,064,436
//	parquet-go 0.32, GOGC=50        0.96 (0.91 to 0.98)    96 (93 to 96)      19,068,025
//	parquet-go 0.32, GOGC=100       0.92 (0.89 to 0.94)   100 (98 to 103)     19,068,025
//
// Decoding the JSON is 0.3 s of each, and zstd 0.2 s. pqarrow was given one array of
// unified dictionaries a row group; larger batches and reused buffers changed its CPU
// by less than a twentieth. Its zstd encoder can only be replaced for the whole program.
// parquet-go was given batches of values, column by column.
//
// # What holds it to the format
//
// TestRoundTrip and TestSlicedRecord have three readers that share no code with this
// package return every value: DuckDB, Arrow 15 and xitongsys/parquet-go. FuzzPages
// compares values and statistics with Arrow 18's reader, for row groups, pages and
// records of any size. TestHybrid has bytes worked out by hand, TestTypes the types,
// the metadata and the encodings that DuckDB sees. TestFullDisk cuts a file short at
// many places. The program compares rows, size and export of each file that it wrote.
package tablefile
