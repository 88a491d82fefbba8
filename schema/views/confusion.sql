-- confusion: how often each tag was predicted for each labelled tag; each row's sum is the tag's labels, each column's its predictions
-- argument probability_threshold double 0.5: predictions less sure than this are left out
-- argument overlap_threshold double 0.3: how much a box must overlap a region to find it, as intersection over union, reached within 1e-9; a classifier has none
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column true_tag_id string: the labelled tag; null for background
-- column true_tag_name string: its name, or background: no missed label goes with the prediction
-- column predicted_tag_id string: the predicted tag; null for missed
-- column predicted_tag_name string: its name, or missed: no prediction goes with the label
-- column cases int64: how often
-- column limited_to_tags int64: how many tags the export was limited to, which makes its figures look better than they are; 0: every image

WITH errors AS{{inline}} (
  SELECT
    project_id, iteration_id, true_tag_id, MAX(true_tag_name) AS true_tag_name, predicted_tag_id, MAX(predicted_tag_name) AS predicted_tag_name,
    COUNT(*) AS cases
  FROM {{ref "mistakes"}}(probability_threshold, overlap_threshold)
  GROUP BY project_id, iteration_id, true_tag_id, predicted_tag_id
),
-- A label that is in no mistake was found: of all labels, those in mistakes are taken off.
judged AS{{inline}} (
  SELECT
    e.project_id, e.iteration_id, e.true_tag_id, e.true_tag_name,
    CASE WHEN s.sign > 0 THEN e.predicted_tag_id ELSE e.true_tag_id END AS predicted_tag_id,
    CASE WHEN s.sign > 0 THEN e.predicted_tag_name ELSE e.true_tag_name END AS predicted_tag_name,
    s.sign * e.cases AS cases
  FROM errors AS e
  CROSS JOIN (SELECT 1 AS sign UNION ALL SELECT -1 AS sign) AS s
  WHERE s.sign > 0 OR e.true_tag_id IS NOT NULL
  UNION ALL
  SELECT
    l.project_id, l.iteration_id, l.tag_id AS true_tag_id, MAX(l.tag_name) AS true_tag_name,
    l.tag_id AS predicted_tag_id, MAX(l.tag_name) AS predicted_tag_name, COUNT(*) AS cases
  FROM {{ref "current_labels"}} AS l
  GROUP BY l.project_id, l.iteration_id, l.tag_id
)
SELECT
  j.project_id, j.iteration_id,
  j.true_tag_id, CASE WHEN j.true_tag_id IS NULL THEN 'background' ELSE MAX(j.true_tag_name) END AS true_tag_name,
  j.predicted_tag_id, CASE WHEN j.predicted_tag_id IS NULL THEN 'missed' ELSE MAX(j.predicted_tag_name) END AS predicted_tag_name,
  CAST(SUM(j.cases) AS {{type "int64"}}) AS cases,
  MAX({{limited "e"}}) AS limited_to_tags
FROM judged AS j
JOIN {{ref "exports"}} AS e ON e.project_id = j.project_id AND e.iteration_id = j.iteration_id
GROUP BY j.project_id, j.iteration_id, j.true_tag_id, j.predicted_tag_id
HAVING SUM(j.cases) > 0
