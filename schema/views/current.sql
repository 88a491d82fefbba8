-- current_{{.Table.Name}}: {{.Table.Name}} of every iteration that has a committed export

SELECT
  t.project_id,
  t.iteration_id,
{{range .Table.Columns}}  t.{{.Name}},
{{end -}}
FROM {{ref .Table.Name}} AS t
JOIN {{ref "exports"}} AS e ON e.project_id = t.project_id AND e.iteration_id = t.iteration_id
