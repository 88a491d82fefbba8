// Package extract reads Azure Custom Vision: a client of the Training API's
// read operations, and the pager that fetches every image of an iteration,
// in order, and proves that it has them all or fails.
package extract
