// Package recycle gives Arrow memory that is used again. An export asks for the
// same few hundred buffers page after page; made anew each time, they are most of
// what it allocates, and the garbage they leave is most of what it occupies.
package recycle

import (
	"math/bits"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Buffers from smallest to largest bytes are used again; smaller ones are as cheap
// to make, and larger ones are too rare to be kept.
const (
	smallest = 1 << 12
	largest  = 1 << 22

	smallestBits = 12
	largestBits  = 22
	steps        = 4 // classes of size between one power of two and the next
)

// mostIdle is how many bytes are kept of what nobody uses: all that an export gives
// back at once when it writes a row group, because the next one asks for it again.
const mostIdle = 8 << 20

// allocator keeps what is freed, by size. It may be used concurrently.
type allocator struct {
	memory.Allocator
	mu   sync.Mutex
	idle int // bytes of those below
	free [(largestBits-smallestBits)*steps + 1][][]byte
}

// New returns an allocator that keeps some of what is given back to it.
func New() memory.Allocator { return &allocator{Allocator: memory.NewGoAllocator()} }

// classOf is the class of buffers that have room for size bytes, and how many they have.
func classOf(size int) (class, room int) {
	power := bits.Len(uint(size-1)) - 1 // size is above this power of two
	step := 1 << power / steps
	part := (size - 1<<power + step - 1) / step
	return (power-smallestBits)*steps + part, 1<<power + part*step
}

func pooled(size int) bool { return size > smallest && size <= largest }

func (a *allocator) Allocate(size int) []byte {
	if !pooled(size) {
		return a.Allocator.Allocate(size)
	}
	class, room := classOf(size)
	if b := a.take(class); b != nil {
		clear(b) // as new memory is
		return b[:size]
	}
	return a.Allocator.Allocate(room)[:size]
}

func (a *allocator) take(class int) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := len(a.free[class]) - 1
	if last < 0 {
		return nil
	}
	b := a.free[class][last]
	a.free[class][last] = nil
	a.free[class] = a.free[class][:last]
	a.idle -= len(b)
	return b
}

func (a *allocator) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	more := a.Allocate(size)
	copy(more, b)
	a.Free(b)
	return more
}

func (a *allocator) Free(b []byte) {
	b = b[:cap(b)]
	if !pooled(len(b)) {
		a.Allocator.Free(b)
		return
	}
	class, room := classOf(len(b))
	if room != len(b) {
		return // it was not made here
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.idle+room <= mostIdle {
		a.free[class] = append(a.free[class], b)
		a.idle += room
	}
}
