-- average_precision: the area below each tag's precision-recall curve (all points, as in PASCAL VOC 2012), and its mean (mAP), beside the service's own
-- argument overlap_threshold double 0.3: how much a box must overlap a region to find it, as intersection over union, reached within 1e-9; a classifier has none
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column scope string: tag, or macro: the mean of the tags that have labels (mAP)
-- column tag_id string: the tag; null for macro
-- column tag_name string: its name
-- column labels int64: how many labels there are
-- column average_precision double: 0 to 1; null if there are no labels
-- column service_average_precision double: the service's own, at the overlap it was asked for
-- column average_precision_difference double: average_precision less the service's; null if a detector's was asked for at another overlap, or the export is limited to tags
-- column limited_to_tags int64: how many tags the export was limited to, which makes its figures look better than they are; 0: every image

WITH points AS{{inline}} (
  SELECT
    project_id, iteration_id, tag_id, interpolated_precision, labels,
    true_positives - LAG(true_positives, 1, 0) OVER (PARTITION BY project_id, iteration_id, tag_id ORDER BY probability DESC) AS found
  FROM {{ref "precision_recall_curve"}}(overlap_threshold)
),
areas AS{{inline}} (
  SELECT project_id, iteration_id, tag_id, SUM(interpolated_precision * found) / MAX(labels) AS area
  FROM points
  WHERE found > 0
  GROUP BY project_id, iteration_id, tag_id
),
-- Every tag of the iteration; one with labels and no right prediction has 0.
listed AS{{inline}} (
  SELECT project_id, iteration_id, tag_id, CAST(NULL AS {{type "string"}}) AS tag_name, 0 AS labels, area,
    CAST(NULL AS {{type "double"}}) AS service_average_precision
  FROM areas
  UNION ALL
  SELECT project_id, iteration_id, tag_id, MAX(tag_name), COUNT(*), 0.0, NULL
  FROM {{ref "current_labels"}}
  GROUP BY project_id, iteration_id, tag_id
  UNION ALL
  SELECT t.project_id, t.iteration_id, t.tag_id, t.tag_name, 0, NULL, t.average_precision
  FROM {{ref "tag_performance"}} AS t
  JOIN {{ref "exports"}} AS e ON e.project_id = t.project_id AND e.iteration_id = t.iteration_id
),
figures AS{{inline}} (
  SELECT
    project_id, iteration_id, tag_id, MAX(tag_name) AS tag_name, MAX(labels) AS labels,
    MAX(area) AS average_precision, MAX(service_average_precision) AS service_average_precision
  FROM listed
  GROUP BY project_id, iteration_id, tag_id
),
all_rows AS{{inline}} (
  SELECT project_id, iteration_id, 'tag' AS scope, tag_id, tag_name, labels, average_precision, service_average_precision
  FROM figures
  UNION ALL
  SELECT
    f.project_id, f.iteration_id, 'macro' AS scope, CAST(NULL AS {{type "string"}}) AS tag_id, CAST(NULL AS {{type "string"}}) AS tag_name,
    CAST(SUM(f.labels) AS {{type "int64"}}) AS labels, AVG(f.average_precision) AS average_precision,
    MAX(e.average_precision) AS service_average_precision
  FROM figures AS f
  JOIN {{ref "exports"}} AS e ON e.project_id = f.project_id AND e.iteration_id = f.iteration_id
  GROUP BY f.project_id, f.iteration_id
)
SELECT
  r.project_id, r.iteration_id, r.scope, r.tag_id, r.tag_name, r.labels, r.average_precision, r.service_average_precision,
  CASE WHEN s.same_threshold THEN r.average_precision - r.service_average_precision END AS average_precision_difference,
  s.limited_to_tags
FROM all_rows AS r
JOIN (
  SELECT
    e.project_id, e.iteration_id,
    -- The service's figures are of every image.
    (e.overlap_threshold = asked.overlap OR k.model_kind = 'classification') AND {{limited "e"}} = 0 AS same_threshold,
    {{limited "e"}} AS limited_to_tags
  FROM {{ref "exports"}} AS e
  JOIN {{ref "model_kinds"}} AS k ON k.project_id = e.project_id AND k.iteration_id = e.iteration_id
  CROSS JOIN (SELECT overlap_threshold AS overlap) AS asked
) AS s ON s.project_id = r.project_id AND s.iteration_id = r.iteration_id
