// Package schema says what the warehouse holds: its tables, their columns and
// types, the keys of their objects, and the rules for the two values that every
// stage reads, ids and timestamps. It is pure data and imports no other package
// of this module; the Arrow schemas, the SQL and the README's tables derive from it.
package schema
