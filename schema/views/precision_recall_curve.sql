-- precision_recall_curve: precision and recall of each tag at each probability that one of its right predictions has
-- argument overlap_threshold double 0.3: how much a box must overlap a region to find it, as intersection over union, reached within 1e-9; a classifier has none
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column tag_id string: the tag
-- column tag_name string: its name
-- column probability double: the threshold: predictions this sure or surer count
-- column true_positives int64: those that are right
-- column false_positives int64: those that are wrong
-- column labels int64: how many labels the tag has
-- column precision double: the share of the predictions that are right
-- column recall double: the share of the labels that are found
-- column interpolated_precision double: the best precision at this recall or beyond, as in PASCAL VOC 2012
-- column limited_to_tags int64: how many tags the export was limited to, which makes its figures look better than they are; 0: every image

-- Every prediction, and the right ones once more, behind all that are as sure.
WITH judged AS{{inline}} (
  SELECT project_id, iteration_id, tag_id, probability, 0 AS is_right
  FROM {{ref "current_predictions"}}
  UNION ALL
  SELECT project_id, iteration_id, tag_id, probability, 1 AS is_right
  FROM {{ref "outcomes"}}(0.0, overlap_threshold)
  WHERE outcome = 'true_positive'
),
{{- if bigquery}}
placed AS (
  SELECT
    project_id, iteration_id, tag_id, probability, is_right,
    ROW_NUMBER() OVER (PARTITION BY project_id, iteration_id, tag_id ORDER BY probability DESC, is_right) AS place
  FROM judged
),
{{- else}}
-- The place as a window function would give it, in a fifth of the time.
listed AS{{inline}} (
  SELECT project_id, iteration_id, tag_id, list({'probability': probability, 'is_right': is_right} ORDER BY probability DESC, is_right) AS points
  FROM judged
  GROUP BY project_id, iteration_id, tag_id
),
placed AS{{inline}} (
  SELECT project_id, iteration_id, tag_id, point.probability, point.is_right, place
  FROM (SELECT project_id, iteration_id, tag_id, unnest(points) AS point, generate_subscripts(points, 1) AS place FROM listed)
),
{{- end}}
counted AS{{inline}} (
  SELECT
    project_id, iteration_id, tag_id, probability, place,
    ROW_NUMBER() OVER (PARTITION BY project_id, iteration_id, tag_id ORDER BY place) AS true_positives
  FROM placed
  WHERE is_right = 1
),
-- Predictions of equal probability make one point.
points AS{{inline}} (
  SELECT
    project_id, iteration_id, tag_id, probability,
    MAX(true_positives) AS true_positives, MAX(place) - MAX(true_positives) AS predictions
  FROM counted
  GROUP BY project_id, iteration_id, tag_id, probability
),
labelled AS{{inline}} (
  SELECT l.project_id, l.iteration_id, l.tag_id, MAX(l.tag_name) AS tag_name, COUNT(*) AS labels, MAX({{limited "e"}}) AS limited_to_tags
  FROM {{ref "current_labels"}} AS l
  JOIN {{ref "exports"}} AS e ON e.project_id = l.project_id AND e.iteration_id = l.iteration_id
  GROUP BY l.project_id, l.iteration_id, l.tag_id
)
SELECT
  p.project_id, p.iteration_id, p.tag_id, l.tag_name, p.probability,
  p.true_positives, p.predictions - p.true_positives AS false_positives, l.labels,
  p.true_positives / p.predictions AS precision,
  p.true_positives / l.labels AS recall,
  MAX(p.true_positives / p.predictions) OVER (
    PARTITION BY p.project_id, p.iteration_id, p.tag_id ORDER BY p.probability) AS interpolated_precision,
  l.limited_to_tags
FROM points AS p
JOIN labelled AS l ON l.project_id = p.project_id AND l.iteration_id = p.iteration_id AND l.tag_id = p.tag_id
