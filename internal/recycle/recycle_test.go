package recycle

import (
	"bytes"
	"testing"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Every size gets a buffer of at least that size, of a class that fits it within a
// quarter; what is given back is used again, and is empty.
func TestUsedAgain(t *testing.T) {
	full := bytes.Repeat([]byte{0xff}, largest+smallest)
	for size := 1; size < largest+smallest; size += 1 + size/97 {
		a := New().(*allocator)
		b := a.Allocate(size)
		if len(b) != size {
			t.Fatalf("%d bytes, want %d", len(b), size)
		}
		if pooled(size) && cap(b) > size+size/4 {
			t.Errorf("%d bytes take %d", size, cap(b))
		}
		copy(b, full)
		before := unsafe.SliceData(b)
		a.Free(b)
		again := a.Allocate(size)
		if same := unsafe.SliceData(again) == before; pooled(size) && !same {
			t.Errorf("%d bytes are made anew", size)
		}
		if bytes.Count(again, []byte{0}) != size {
			t.Fatalf("%d bytes are not empty", size)
		}
		a.Free(again)
	}
}

// Only so much is kept of what nobody uses.
func TestIdle(t *testing.T) {
	a := New().(*allocator)
	var used [][]byte
	for range 20 {
		used = append(used, a.Allocate(1<<20))
	}
	for _, b := range used {
		a.Free(b)
	}
	class, room := classOf(1 << 20)
	if kept := len(a.free[class]); kept != mostIdle/room || a.idle != kept*room {
		t.Errorf("%d buffers of %d bytes are kept, %d bytes in all", kept, room, a.idle)
	}
	a.Allocate(1 << 20)
	if want := mostIdle - room; a.idle != want {
		t.Errorf("%d bytes idle, want %d", a.idle, want)
	}
}

func TestReallocate(t *testing.T) {
	a := memory.NewCheckedAllocator(New())
	defer a.AssertSize(t, 0)
	b := a.Allocate(5000)
	b[4999] = 7
	b = a.Reallocate(100_000, b)
	if len(b) != 100_000 || b[4999] != 7 || b[99_999] != 0 {
		t.Error("what it held is not there")
	}
	if b = a.Reallocate(10, b); len(b) != 10 {
		t.Error("it did not get shorter")
	}
	a.Free(b)
}

// What others made is no buffer to give out.
func TestForeign(t *testing.T) {
	a := New().(*allocator)
	a.Free(make([]byte, 5000, 5001))
	for class, free := range a.free {
		if len(free) > 0 {
			t.Errorf("class %d has it", class)
		}
	}
}
