// Package extract reads from Azure Custom Vision. [Client] has the read operations of
// the Training API. [Read] fetches every image of an iteration, in order, and fails
// unless it has each exactly once.
package extract
