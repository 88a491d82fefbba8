//go:build !linux && !darwin

package load

// room is nil: here only a try would tell.
func room(string, int64) error { return nil }
