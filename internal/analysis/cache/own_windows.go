package cache

import "os"

// checkOwn looks whether there is the file: Windows keeps a user's cache folder from others.
func checkOwn(file string) error {
	_, err := os.Lstat(file)
	return err
}
