-- confusion: how often each tag was predicted for each labelled tag; each row's sum is the tag's labels, each column's its predictions
-- argument probability_threshold double 0.5: predictions less sure than this are left out
-- argument overlap_threshold double 0.3: how much a box must overlap a region to find it, as intersection over union; a classifier has none
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column true_tag_id string: the labelled tag; null for background
-- column true_tag_name string: its name, or background: no missed label goes with the prediction
-- column predicted_tag_id string: the predicted tag; null for missed
-- column predicted_tag_name string: its name, or missed: no prediction goes with the label
-- column cases int64: how often

WITH judged AS{{inline}} (
  SELECT
    project_id, iteration_id, tag_id AS true_tag_id, tag_name AS true_tag_name, tag_id AS predicted_tag_id, tag_name AS predicted_tag_name
  FROM {{ref "outcomes"}}(probability_threshold, overlap_threshold)
  WHERE outcome = 'true_positive'
  UNION ALL
  SELECT project_id, iteration_id, true_tag_id, true_tag_name, predicted_tag_id, predicted_tag_name
  FROM {{ref "mistakes"}}(probability_threshold, overlap_threshold)
)
SELECT
  project_id, iteration_id,
  true_tag_id, CASE WHEN true_tag_id IS NULL THEN 'background' ELSE MAX(true_tag_name) END AS true_tag_name,
  predicted_tag_id, CASE WHEN predicted_tag_id IS NULL THEN 'missed' ELSE MAX(predicted_tag_name) END AS predicted_tag_name,
  COUNT(*) AS cases
FROM judged
GROUP BY project_id, iteration_id, true_tag_id, predicted_tag_id
