package config

import "testing"

// The example file is valid.
func TestExampleFile(t *testing.T) {
	f, err := read("../../../deploy/cvexport.example.yaml")
	if err != nil || len(f.Resources) != 2 {
		t.Errorf("%+v, %v", f, err)
	}
}
