package jobs

import (
	"errors"
	"testing"
)

func TestCause(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{"project 05981aad-472e-4734-a83f-a89bd6c81037, iteration b7f37ac8-da11-4c38-9bcf-3e2f21aefaa9, page 1 (images from 255): the service answered 503 (request ab-1)",
			"project 05981aad-472e-4734-a83f-a89bd6c81037, iteration C4D6C51C-46b7-4117-bd66-d3d0bf453a14, page 12 (images from 3060): the service answered 503 (request 7)", true},
		{"the service answered 503", "the service answered 404", false},
		{"tried 3 times in 15m2.5s", "tried 12 times in 59s", true},
		{"read tcp 127.0.0.1:51234->10.0.0.1:443: reset", "read tcp 127.0.0.1:5->10.0.0.1:443: reset", true},
		{"come back at 2026-11-29T01:02:03Z", "come back at 2027-01-02T00:00:00.5Z", true},
		{"mkdir /sys/a: operation not permitted", "mkdir /sys/b: operation not permitted", false},
		{"no tag", "no image", false},
	} {
		if a, b := Cause(errors.New(tc.a)), Cause(errors.New(tc.b)); (a == b) != tc.same {
			t.Errorf("%s\n%s", a, b)
		}
	}
}
