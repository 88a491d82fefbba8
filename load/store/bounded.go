package store

import (
	"context"
	"fmt"
	"iter"
)

// Bounded is a store whose listings end, with an error, after so many objects: those of
// a server that lies do not. The objects of a listing are in memory, some hundred bytes each.
func Bounded(s Store, objects int) Store { return bounded{s, objects} }

type bounded struct {
	Store
	objects int
}

func (b bounded) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		n := 0
		for obj, err := range b.Store.List(ctx, prefix) {
			if n++; err == nil && n > b.objects {
				err = fmt.Errorf("listing %s: it has more than %d objects: if that is right, raise --max-objects", b.URL(prefix), b.objects)
			}
			if err == nil && len(obj.Key) > maxListedKey {
				err = fmt.Errorf("listing %s: a key has %d bytes, more than the limit of %d", b.URL(prefix), len(obj.Key), maxListedKey)
			}
			if err != nil {
				obj = Object{}
			}
			if !yield(obj, err) || err != nil {
				return
			}
		}
	}
}

// maxListedKey is longer than what any store or file system has.
const maxListedKey = 64 << 10
