package tablefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/metadata"
)

// The bounds of what is read. A file that [Writer] or [Encode] wrote is far from each:
// its tables have up to 20 columns and 500 predictions of each of 100,000 images, in
// less than a thousand row groups.
const (
	maxFooter       = 8 << 20       // bytes
	maxSchema       = 1_000         // columns and groups of columns
	maxRowGroups    = 32_767        // as many as the format numbers
	maxElements     = 300_000       // of all lists in the footer
	maxDepth        = 32            // of structures in one another
	maxRows         = 1_000_000_000 // of a file
	maxPageHeader   = 1 << 20       // bytes
	maxPage         = 16 << 20      // bytes, packed or not; a whole row group has MaxBuffered
	maxBatch        = 32 << 20      // bytes of memory for the rows of a column that are read at once
	maxRecordValues = 65_536        // of a column that is read by Values
	maxRecordBytes  = 16 << 20      // of the texts among them
)

// footer is what [CheckFooter] and [Metadata] read of one.
type footer struct {
	rows   int64
	values func(key, value []byte)
}

// readFooter returns the bytes of the footer of a file.
func readFooter(r io.ReaderAt, size int64) ([]byte, error) {
	const tail = 4 + len(magic) // its length comes before the magic
	var end [tail]byte
	if size < int64(tail+len(magic)) {
		return nil, fmt.Errorf("its %d bytes are too few for a Parquet file", size)
	}
	if _, err := r.ReadAt(end[:], size-int64(tail)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	length := int64(binary.LittleEndian.Uint32(end[:]))
	switch {
	case string(end[4:]) != magic:
		return nil, errors.New("it does not end as a Parquet file does")
	case length > size-int64(tail):
		return nil, fmt.Errorf("its footer would have %d bytes, more than the file", length)
	case length > maxFooter:
		return nil, fmt.Errorf("its footer has %d bytes, more than the limit of %d", length, maxFooter)
	}
	body := make([]byte, length)
	if _, err := r.ReadAt(body, size-int64(tail)-length); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return body, nil
}

// walk reads a footer, whose counts may lie.
func (f *footer) walk(body []byte) error {
	c := compact{b: body, elements: maxElements}
	c.fields(0, func(id int64, kind uint8) bool {
		switch {
		case id == 2 && kind == kindList:
			c.each("columns", maxSchema, func() { c.skip(kindStruct, 0) })
		case id == 3 && kind == kindInt64:
			if f.rows = c.integer(); c.err == nil && (f.rows < 0 || f.rows > maxRows) {
				c.fail(fmt.Errorf("it says that it has %d rows, and the limit is %d", f.rows, maxRows))
			}
		case id == 4 && kind == kindList:
			c.each("row groups", maxRowGroups, func() { c.skip(kindStruct, 0) })
		case id == 5 && kind == kindList:
			c.each("values of its own", maxElements, func() {
				var key, value []byte
				c.fields(1, func(id int64, kind uint8) bool {
					switch {
					case id == 1 && kind == kindBinary:
						key = c.binary()
					case id == 2 && kind == kindBinary:
						value = c.binary()
					default:
						return false
					}
					return true
				})
				if f.values != nil && c.err == nil {
					f.values(key, value)
				}
			})
		default:
			return false
		}
		return true
	})
	if c.err != nil {
		return fmt.Errorf("its footer: %w", c.err)
	}
	return nil
}

// Metadata returns a value of the key-value metadata of a file of size bytes, "" if there
// is none. It reads nothing but the footer, and builds nothing of it.
func Metadata(r io.ReaderAt, size int64, key string) (found string, err error) {
	body, err := readFooter(r, size)
	if err != nil {
		return "", err
	}
	f := footer{values: func(k, v []byte) {
		if found == "" && string(k) == key {
			found = string(v)
		}
	}}
	return found, f.walk(body)
}

// CheckFooter returns an error if the footer of a file of size bytes is over the bounds, or
// is none, and otherwise how many rows it says there are. Other readers of Parquet, such
// as DuckDB, believe it.
func CheckFooter(r io.ReaderAt, size int64) (rows int64, err error) {
	body, err := readFooter(r, size)
	if err != nil {
		return 0, err
	}
	var f footer
	err = f.walk(body)
	return f.rows, err
}

// checkPages returns an error if the pages of a column chunk are over the bounds, or say
// that they have more values than fit into them.
func checkPages(r io.ReaderAt, size int64, chunk *metadata.ColumnChunkMetaData) error {
	if codec := chunk.Compression(); codec != compress.Codecs.Zstd && codec != compress.Codecs.Uncompressed {
		return fmt.Errorf("its pages are packed with %s, as no export's are", codec)
	}
	from := chunk.DataPageOffset()
	if chunk.HasDictionaryPage() && chunk.DictionaryPageOffset() > 0 {
		from = min(from, chunk.DictionaryPageOffset())
	}
	length := chunk.TotalCompressedSize()
	if from < 0 || length < 0 || from > size || length > size-from {
		return errors.New("its pages would be outside of the file")
	}
	const usual = 4 << 10 // of a header
	head := make([]byte, usual)
	for end := from + length; from < end; {
		var h pageHeader
		for {
			n, err := r.ReadAt(head[:min(int64(len(head)), end-from)], from)
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			c := compact{b: head[:n], elements: maxElements}
			h = pageHeader{}
			h.read(&c)
			if errors.Is(c.err, errCut) && int64(n) < end-from && n < maxPageHeader {
				head = make([]byte, min(4*len(head), maxPageHeader))
				continue
			}
			if c.err != nil {
				return fmt.Errorf("the header of a page: %w", c.err)
			}
			from += int64(c.at)
			break
		}
		if err := h.check(); err != nil {
			return err
		}
		from += h.packed
	}
	return nil
}

type pageHeader struct {
	kind, plain, packed  int64
	values, encoding     int64
	dictionary, anything bool
}

func (h *pageHeader) read(c *compact) {
	c.fields(0, func(id int64, kind uint8) bool {
		switch {
		case kind == kindInt32 && id == 1:
			h.kind = c.integer()
		case kind == kindInt32 && id == 2:
			h.plain = c.integer()
		case kind == kindInt32 && id == 3:
			h.packed = c.integer()
		case kind == kindStruct && (id == 5 || id == 7 || id == 8): // of a data page, a dictionary, a data page of version 2
			h.dictionary, h.anything = id == 7, true
			c.fields(1, func(field int64, kind uint8) bool {
				switch {
				case kind == kindInt32 && field == 1:
					h.values = c.integer()
				case kind == kindInt32 && (id == 8 && field == 4 || id != 8 && field == 2):
					h.encoding = c.integer()
				default:
					return false
				}
				return true
			})
		default:
			return false
		}
		return true
	})
}

func (h *pageHeader) check() error {
	switch {
	case h.plain < 0 || h.packed < 0 || h.values < 0:
		return errors.New("a page has a negative size")
	case h.plain > maxPage || h.packed > maxPage:
		return fmt.Errorf("a page has %d bytes, %d unpacked, more than the limit of %d", h.packed, h.plain, maxPage)
	case !h.anything:
		return nil // of an index, which is passed over
	case h.values > maxRows:
		return fmt.Errorf("a page says that it has %d values, and the limit is %d", h.values, maxRows)
	case h.dictionary && h.values > h.plain/4: // what repeats is a number, or a text behind its length
		return fmt.Errorf("a dictionary of %d bytes says that it has %d values", h.plain, h.values)
	}
	switch h.encoding {
	case 0, 2, 3, 4, 8: // plain, dictionary, run lengths, packed bits, and dictionary again
		return nil
	}
	return fmt.Errorf("a page has the encoding %d, which no export has", h.encoding)
}

// bounded is memory in pieces of at most maxBatch bytes, one of which a column's texts
// need. It panics when asked for more, which [Guard] makes an error, because an allocator
// has no other way to say so.
type bounded struct{ memory.Allocator }

type overBound struct{ error }

func (bounded) check(size int) {
	if size > maxBatch {
		panic(overBound{fmt.Errorf("the rows read at once take more than %d bytes of memory in one column", maxBatch)})
	}
}

func (b bounded) Allocate(size int) []byte {
	b.check(size)
	return b.Allocator.Allocate(size)
}

func (b bounded) Reallocate(size int, old []byte) []byte {
	b.check(size)
	return b.Allocator.Reallocate(size, old)
}
