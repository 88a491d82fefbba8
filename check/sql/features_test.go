package sql

import gs "github.com/goccy/go-googlesql"

// features are the parts of GoogleSQL that are enabled: of those that BigQuery's reference
// documents as generally available, the ones that a warehouse's tables, views and functions
// can use. GoogleSQL's own sets are wider than BigQuery: its "maximum features" accept
// FILTER (WHERE ...) after an aggregate, lateral column references, ARRAY_TRANSFORM with a
// lambda, UUID, MAP and GRAPH_TABLE, which BigQuery refuses. What is missing here is
// refused: if a statement needs another feature of BigQuery, add it to this list.
var features = []gs.LanguageFeature{
	// Queries.
	gs.LanguageFeatureFeatureAnalyticFunctions,
	gs.LanguageFeatureFeatureQualify,
	gs.LanguageFeatureFeatureWithOnSubquery,
	gs.LanguageFeatureFeatureWithRecursive,
	gs.LanguageFeatureFeatureSelectStarExceptReplace,
	gs.LanguageFeatureFeatureGroupByStruct,
	gs.LanguageFeatureFeatureGroupByArray,
	gs.LanguageFeatureFeatureGroupByAll,
	gs.LanguageFeatureFeatureGroupByRollup,
	gs.LanguageFeatureFeatureGroupingSets,
	gs.LanguageFeatureFeatureGroupingBuiltin,
	gs.LanguageFeatureFeaturePivot,
	gs.LanguageFeatureFeatureUnpivot,
	gs.LanguageFeatureFeatureTablesample,
	gs.LanguageFeatureFeatureForSystemTimeAsOf,
	gs.LanguageFeatureFeatureNullsFirstLastInOrderBy,
	gs.LanguageFeatureFeatureAllowConsecutiveOn,
	gs.LanguageFeatureFeatureAllowDashesInTableName,
	gs.LanguageFeatureFeatureTableValuedFunctions,

	// Expressions.
	gs.LanguageFeatureFeatureOrderByInAggregate,
	gs.LanguageFeatureFeatureLimitInAggregate,
	gs.LanguageFeatureFeatureHavingInAggregate, // ANY_VALUE(x HAVING MAX y)
	gs.LanguageFeatureFeatureNullHandlingModifierInAggregate,
	gs.LanguageFeatureFeatureNullHandlingModifierInAnalytic,
	gs.LanguageFeatureFeatureSafeFunctionCall, // SAFE.f(x)
	gs.LanguageFeatureFeatureNamedArguments,
	gs.LanguageFeatureFeatureIsDistinct,
	gs.LanguageFeatureFeatureLikeAnySomeAll,
	gs.LanguageFeatureFeatureBareArrayAccess, // a[0], besides a[OFFSET(0)]
	gs.LanguageFeatureFeatureFormatInCast,
	gs.LanguageFeatureFeatureWithExpression,

	// Types and their functions.
	gs.LanguageFeatureFeatureCivilTime, // DATETIME and TIME
	gs.LanguageFeatureFeatureNumericType,
	gs.LanguageFeatureFeatureBignumericType,
	gs.LanguageFeatureFeatureDecimalAlias,
	gs.LanguageFeatureFeatureParameterizedTypes, // STRING(36)
	gs.LanguageFeatureFeatureGeography,
	gs.LanguageFeatureFeatureIntervalType,
	gs.LanguageFeatureFeatureRangeType,
	gs.LanguageFeatureFeatureJsonType,
	gs.LanguageFeatureFeatureJsonArrayFunctions,
	gs.LanguageFeatureFeatureJsonConstructorFunctions,
	gs.LanguageFeatureFeatureJsonMutatorFunctions,
	gs.LanguageFeatureFeatureJsonValueExtractionFunctions,
	gs.LanguageFeatureFeatureJsonLaxValueExtractionFunctions,
	gs.LanguageFeatureFeatureAdditionalStringFunctions,
	gs.LanguageFeatureFeatureAllowRegexpExtractOptionals,
	gs.LanguageFeatureFeatureConcatMixedTypes,
	gs.LanguageFeatureFeatureDateArithmetics,
	gs.LanguageFeatureFeatureDateTimeConstructors,
	gs.LanguageFeatureFeatureExtendedDateTimeSignatures,
	gs.LanguageFeatureFeatureWeekWithWeekday,
	gs.LanguageFeatureFeatureTimeBucketFunctions,
	gs.LanguageFeatureFeatureCbrtFunctions,
	gs.LanguageFeatureFeatureInverseTrigFunctions,
	gs.LanguageFeatureFeatureRoundWithRoundingMode,

	// Statements.
	gs.LanguageFeatureFeatureCreateTableNotNull,
	gs.LanguageFeatureFeatureCreateTableFieldAnnotations, // OPTIONS of a column
	gs.LanguageFeatureFeatureCreateTableAsSelectColumnList,
	gs.LanguageFeatureFeatureCreateTablePartitionBy,
	gs.LanguageFeatureFeatureCreateTableClusterBy,
	gs.LanguageFeatureFeatureCreateTableLike,
	gs.LanguageFeatureFeatureUnenforcedPrimaryKeys,
	gs.LanguageFeatureFeatureColumnDefaultValue,
	gs.LanguageFeatureFeatureCreateExternalTableWithTableElementList,
	gs.LanguageFeatureFeatureCreateExternalTableWithPartitionColumns,
	gs.LanguageFeatureFeatureCreateExternalTableWithConnection,
	gs.LanguageFeatureFeatureLoadDataPartitions,
	gs.LanguageFeatureFeatureCreateViewWithColumnList,
	gs.LanguageFeatureFeatureCreateViewsWithColumnOptions,
	gs.LanguageFeatureFeatureAlterViewsAlterColumnSetOptions,
	gs.LanguageFeatureFeatureCreateMaterializedViewPartitionBy,
	gs.LanguageFeatureFeatureCreateMaterializedViewClusterBy,
	gs.LanguageFeatureFeatureCreateTableFunction,
}

// statements are the kinds of statement that Analyze accepts: those that create a
// warehouse's tables, views and functions.
var statements = map[gs.ResolvedNodeKind]string{
	gs.ResolvedNodeKindResolvedQueryStmt:                  "SELECT",
	gs.ResolvedNodeKindResolvedCreateSchemaStmt:           "CREATE SCHEMA",
	gs.ResolvedNodeKindResolvedCreateTableStmt:            "CREATE TABLE",
	gs.ResolvedNodeKindResolvedCreateTableAsSelectStmt:    "CREATE TABLE AS SELECT",
	gs.ResolvedNodeKindResolvedCreateExternalTableStmt:    "CREATE EXTERNAL TABLE",
	gs.ResolvedNodeKindResolvedCreateViewStmt:             "CREATE VIEW",
	gs.ResolvedNodeKindResolvedCreateMaterializedViewStmt: "CREATE MATERIALIZED VIEW",
	gs.ResolvedNodeKindResolvedCreateFunctionStmt:         "CREATE FUNCTION",
	gs.ResolvedNodeKindResolvedCreateTableFunctionStmt:    "CREATE TABLE FUNCTION",
	gs.ResolvedNodeKindResolvedAuxLoadDataStmt:            "LOAD DATA",
	gs.ResolvedNodeKindResolvedAlterSchemaStmt:            "ALTER SCHEMA",
	gs.ResolvedNodeKindResolvedAlterTableStmt:             "ALTER TABLE",
	gs.ResolvedNodeKindResolvedAlterViewStmt:              "ALTER VIEW",
	gs.ResolvedNodeKindResolvedAlterMaterializedViewStmt:  "ALTER MATERIALIZED VIEW",
}

// language returns the options that make GoogleSQL behave like BigQuery.
func language() (*gs.LanguageOptions, error) {
	options, err := gs.NewLanguageOptions()
	if err != nil {
		return nil, err
	}
	// External means FLOAT64 instead of DOUBLE, and no 32-bit or unsigned numbers.
	if err := options.SetProductMode(gs.ProductModeProductExternal); err != nil {
		return nil, err
	}
	// It is reserved in BigQuery. If it were not, QUALIFY after a table would be its alias.
	if err := options.EnableReservableKeyword("QUALIFY", true); err != nil {
		return nil, err
	}
	for _, feature := range features {
		if err := options.EnableLanguageFeature(feature); err != nil {
			return nil, err
		}
	}
	for kind := range statements {
		if err := options.AddSupportedStatementKind(kind); err != nil {
			return nil, err
		}
	}
	return options, nil
}
