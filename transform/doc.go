// Package transform turns one raw page of image performances into one Arrow
// record for each table. It is pure: no I/O, no clock, and the same bytes always
// give the same records.
//
// It accepts what the service has been seen to send: absent and null mean the
// same, times may lack a zone, numbers are read to the last bit of a double, and
// unknown fields are skipped and counted.
package transform
