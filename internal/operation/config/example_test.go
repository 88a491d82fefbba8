package config

import "testing"

// The example that people begin with is a valid one.
func TestExampleFile(t *testing.T) {
	f, err := Read("../../../deploy/cvexport.example.yaml")
	if err != nil || len(f.Resources) != 2 {
		t.Errorf("%+v, %v", f, err)
	}
}
