-- export_health: tables of committed exports that are not what the exports record says; empty when all is well
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column table_name string: the table
-- column export_id string: the committed export
-- column recorded_rows int64: the rows that its record says
-- column found_rows int64: the rows that are there
-- column other_rows int64: those of them that another export has written
-- column problem string: other_export (a replacement was interrupted: export the iteration again), or row_count

WITH recorded AS{{inline}} (
{{- range $i, $t := .Tables}}{{if $i}}
  UNION ALL{{end}}
  SELECT project_id, iteration_id, export_id, '{{$t.Name}}' AS table_name, {{$t.Name}} AS recorded_rows FROM {{ref "exports"}}
{{- end}}
),
found AS{{inline}} (
{{- range $i, $t := .Tables}}{{if $i}}
  UNION ALL{{end}}
  SELECT project_id, iteration_id, '{{$t.Name}}' AS table_name, export_id, COUNT(*) AS found_rows FROM {{ref $t.Name}} GROUP BY project_id, iteration_id, export_id
{{- end}}
),
compared AS{{inline}} (
  SELECT
    r.project_id, r.iteration_id, r.table_name, r.export_id, r.recorded_rows,
    CAST(COALESCE(SUM(f.found_rows), 0) AS {{type "int64"}}) AS found_rows,
    CAST(COALESCE(SUM(CASE WHEN f.export_id <> r.export_id THEN f.found_rows END), 0) AS {{type "int64"}}) AS other_rows
  FROM recorded AS r
  LEFT JOIN found AS f ON f.project_id = r.project_id AND f.iteration_id = r.iteration_id AND f.table_name = r.table_name
  GROUP BY r.project_id, r.iteration_id, r.table_name, r.export_id, r.recorded_rows
)
SELECT
  project_id, iteration_id, table_name, export_id, recorded_rows, found_rows, other_rows,
  CASE WHEN other_rows > 0 THEN 'other_export' ELSE 'row_count' END AS problem
FROM compared
WHERE other_rows > 0 OR found_rows <> recorded_rows
