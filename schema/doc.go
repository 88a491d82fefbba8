// Package schema describes the warehouse: tables, columns, types, views, and the keys of
// objects. It also parses the two kinds of values that every stage reads, ids and
// times. It imports no other package of this module. Arrow schemas, SQL and
// docs/reference derive from it.
package schema
