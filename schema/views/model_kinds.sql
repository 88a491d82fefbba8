-- model_kinds: whether the model of each exported iteration classifies images or detects objects
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column model_kind string: classification or detection; of an export before schema version 2, which does not say it, detection if there is a region or a prediction with a box

SELECT project_id, iteration_id, MAX(model_kind) AS model_kind -- detection, if anything says so
FROM (
  SELECT project_id, iteration_id, COALESCE(model_kind, CASE WHEN regions > 0 THEN 'detection' ELSE 'classification' END) AS model_kind
  FROM {{ref "exports"}}
  UNION ALL
  SELECT p.project_id, p.iteration_id, 'detection' AS model_kind
  FROM {{ref "predictions"}} AS p
  JOIN {{ref "exports"}} AS e ON e.project_id = p.project_id AND e.iteration_id = p.iteration_id
  WHERE e.model_kind IS NULL AND e.regions = 0 AND p.box_left IS NOT NULL
) AS said
GROUP BY project_id, iteration_id
