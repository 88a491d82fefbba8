package sql

import (
	"strings"

	gs "github.com/goccy/go-googlesql"
)

// options maps names of OPTIONS to their types, as BigQuery's reference lists them. The
// analyzer accepts any.
type options map[string]string

const (
	stringList = "ARRAY<STRING>"
	labelList  = "ARRAY<STRUCT<STRING, STRING>>"
)

var (
	schemaOptions = options{
		"default_kms_key_name": "STRING", "default_partition_expiration_days": "FLOAT64",
		"default_rounding_mode": "STRING", "default_table_expiration_days": "FLOAT64",
		"description": "STRING", "friendly_name": "STRING", "is_case_insensitive": "BOOL",
		"labels": labelList, "location": "STRING", "max_time_travel_hours": "INT64",
		"storage_billing_model": "STRING", "tags": labelList,
	}
	tableOptions = options{
		"description": "STRING", "expiration_timestamp": "TIMESTAMP", "friendly_name": "STRING",
		"kms_key_name": "STRING", "labels": labelList, "max_staleness": "INTERVAL",
		"partition_expiration_days": "FLOAT64", "require_partition_filter": "BOOL",
		"default_rounding_mode": "STRING", "enable_change_history": "BOOL", "tags": labelList,
	}
	viewOptions = options{
		"description": "STRING", "expiration_timestamp": "TIMESTAMP", "friendly_name": "STRING",
		"labels": labelList, "privacy_policy": "STRING", "tags": labelList,
	}
	materializedViewOptions = options{
		"allow_non_incremental_definition": "BOOL", "description": "STRING", "enable_refresh": "BOOL",
		"expiration_timestamp": "TIMESTAMP", "friendly_name": "STRING", "kms_key_name": "STRING",
		"labels": labelList, "max_staleness": "INTERVAL", "refresh_interval_minutes": "FLOAT64", "tags": labelList,
	}
	// fileOptions are about reading files, for LOAD DATA and external tables.
	fileOptions = options{
		"allow_jagged_rows": "BOOL", "allow_quoted_newlines": "BOOL", "column_name_character_map": "STRING",
		"date_format": "STRING", "datetime_format": "STRING", "decimal_target_types": stringList,
		"enable_list_inference": "BOOL", "enable_logical_types": "BOOL", "encoding": "STRING",
		"enum_as_string": "BOOL", "field_delimiter": "STRING", "file_set_spec_type": "STRING",
		"format": "STRING", "hive_partition_uri_prefix": "STRING", "ignore_unknown_values": "BOOL",
		"json_extension": "STRING", "max_bad_records": "INT64", "null_marker": "STRING",
		"null_markers": stringList, "preserve_ascii_control_characters": "BOOL",
		"quote": "STRING", "reference_file_schema_uri": "STRING", "skip_leading_rows": "INT64",
		"source_column_match": "STRING", "time_format": "STRING", "time_zone": "STRING",
		"timestamp_format": "STRING", "uris": stringList,
	}
	externalTableOptions = with(fileOptions, options{
		"bigtable_options": "STRING", "compression": "STRING", "description": "STRING",
		"expiration_timestamp": "TIMESTAMP", "max_staleness": "INTERVAL", "metadata_cache_mode": "STRING",
		"object_metadata": "STRING", "require_hive_partition_filter": "BOOL", "sheet_range": "STRING",
	})
	functionOptions = options{"description": "STRING"}
	columnOptions   = options{"data_policies": stringList, "description": "STRING", "rounding_mode": "STRING"}
)

func with(a, b options) options {
	all := options{}
	for _, list := range []options{a, b} {
		for name, typ := range list {
			all[name] = typ
		}
	}
	return all
}

// optionsOf has the options of each kind of object.
var optionsOf = map[string]options{
	"SCHEMA":            schemaOptions,
	"TABLE":             tableOptions,
	"EXTERNAL TABLE":    externalTableOptions,
	"VIEW":              viewOptions,
	"MATERIALIZED VIEW": materializedViewOptions,
	"FUNCTION":          functionOptions,
	"TABLE FUNCTION":    functionOptions,
}

// checkOptions checks the options of a statement about an object of that kind, of the
// object's columns, and of the files that LOAD DATA reads.
func checkOptions(kind string, statement gs.ResolvedNode) error {
	return walk(statement, func(node gs.ResolvedNode) error {
		if load, ok := node.(*gs.ResolvedAuxLoadDataStmt); ok {
			list, err := load.FromFilesOptionList()
			if err != nil {
				return err
			}
			if err := fileOptions.check("FROM FILES", list); err != nil {
				return err
			}
		}
		has, ok := node.(interface {
			OptionList() ([]*gs.ResolvedOption, error)
		})
		if !ok {
			return nil
		}
		list, err := has.OptionList()
		if err != nil {
			return err
		}
		switch node.(type) {
		case *gs.ResolvedColumnAnnotations, *gs.ResolvedAlterColumnOptionsAction:
			return columnOptions.check("a column", list)
		}
		return optionsOf[kind].check(kind, list)
	})
}

// check checks that the options given are allowed and that their values are of the right
// type or NULL.
func (allowed options) check(of string, given []*gs.ResolvedOption) error {
	for _, option := range given {
		name, err := option.Name()
		if err != nil {
			return err
		}
		want, ok := allowed[strings.ToLower(name)]
		if !ok {
			return refuse(option, "%s has no option %s", of, name)
		}
		value, err := option.Value()
		if err != nil {
			return err
		}
		typ, err := value.Type()
		if err != nil {
			return err
		}
		got, err := typeName(typ)
		if err != nil {
			return err
		}
		if got != want && !(got == "INT64" && want == "FLOAT64") && !isNull(value) {
			return refuse(option, "the option %s takes %s, not %s", name, want, got)
		}
	}
	return nil
}

func isNull(value gs.ResolvedNode) bool {
	literal, ok := value.(*gs.ResolvedLiteral)
	if !ok {
		return false
	}
	v, err := literal.Value()
	if err != nil {
		return false
	}
	null, err := v.IsNull()
	return err == nil && null
}
