// Package transform turns one raw page of image performances into one Arrow
// record a table. It is pure: no I/O, no clock, and the same bytes always give
// the same records.
//
// What it accepts is what the service was seen to send: absent and null mean
// the same, times may lack a zone, numbers are taken to the last digit of a
// double, and fields it does not know are skipped and counted.
package transform
