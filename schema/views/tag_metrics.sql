-- tag_metrics: precision, recall and F1 of each tag of an iteration and of all together, beside the service's own figures
-- argument probability_threshold double 0.5: predictions less sure than this are left out
-- argument overlap_threshold double 0.3: how much a box must overlap a region to find it, as intersection over union, reached within 1e-9; a classifier has none
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column scope string: tag, or of all tags: micro (every case counts the same) or macro (every tag that has a case counts the same)
-- column tag_id string: the tag; null for micro and macro
-- column tag_name string: its name
-- column labels int64: how many labels there are
-- column true_positives int64: predictions that were right
-- column false_positives int64: predictions that were wrong
-- column false_negatives int64: labels that were missed
-- column precision double: the share of the predictions that were right; null if there were none, which macro takes for 0
-- column recall double: the share of the labels that were found; null if there are none, which macro takes for 0
-- column f1 double: the harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn); null if there is no case
-- column service_precision double: the service's own, at the thresholds it was asked for; of micro and macro alike, its one figure for the iteration
-- column service_recall double: the service's own, at the thresholds it was asked for; of micro and macro alike, its one figure for the iteration
-- column precision_difference double: precision less the service's; null if that was asked for at other thresholds, or the export is limited to tags
-- column recall_difference double: recall less the service's; null if that was asked for at other thresholds, or the export is limited to tags
-- column limited_to_tags int64: how many tags the export was limited to, which makes its figures look better than they are; 0: every image

WITH counted AS{{inline}} (
  SELECT
    project_id, iteration_id, tag_id, MAX(tag_name) AS tag_name,
    CAST(COUNTIF(outcome = 'true_positive') AS {{type "int64"}}) AS true_positives,
    CAST(COUNTIF(outcome = 'false_positive') AS {{type "int64"}}) AS false_positives,
    CAST(COUNTIF(outcome = 'false_negative') AS {{type "int64"}}) AS false_negatives
  FROM {{ref "outcomes"}}(probability_threshold, overlap_threshold)
  GROUP BY project_id, iteration_id, tag_id
),
-- Every tag of the iteration, also one that no image has.
listed AS{{inline}} (
  SELECT project_id, iteration_id, tag_id, tag_name, true_positives, false_positives, false_negatives,
    CAST(NULL AS {{type "double"}}) AS service_precision, CAST(NULL AS {{type "double"}}) AS service_recall
  FROM counted
  UNION ALL
  SELECT t.project_id, t.iteration_id, t.tag_id, t.tag_name, 0, 0, 0, t.precision, t.recall
  FROM {{ref "tag_performance"}} AS t
  JOIN {{ref "exports"}} AS e ON e.project_id = t.project_id AND e.iteration_id = t.iteration_id
),
tags AS{{inline}} (
  SELECT
    project_id, iteration_id, tag_id, MAX(tag_name) AS tag_name,
    MAX(true_positives) AS true_positives, MAX(false_positives) AS false_positives, MAX(false_negatives) AS false_negatives,
    MAX(service_precision) AS service_precision, MAX(service_recall) AS service_recall
  FROM listed
  GROUP BY project_id, iteration_id, tag_id
),
figures AS{{inline}} (
  SELECT
    project_id, iteration_id, tag_id, tag_name, true_positives, false_positives, false_negatives, service_precision, service_recall,
    {{figure "precision" ""}} AS precision,
    {{figure "recall" ""}} AS recall,
    {{figure "f1" ""}} AS f1
  FROM tags
),
sums AS{{inline}} (
  SELECT
    project_id, iteration_id,
    CAST(SUM(true_positives) AS {{type "int64"}}) AS true_positives,
    CAST(SUM(false_positives) AS {{type "int64"}}) AS false_positives,
    CAST(SUM(false_negatives) AS {{type "int64"}}) AS false_negatives,
    {{mean "precision" ""}} AS macro_precision,
    {{mean "recall" ""}} AS macro_recall,
    {{mean "f1" ""}} AS macro_f1
  FROM figures
  GROUP BY project_id, iteration_id
),
rows_of_all AS{{inline}} (
  SELECT
    project_id, iteration_id, 'tag' AS scope, tag_id, tag_name, true_positives, false_positives, false_negatives,
    precision, recall, f1, service_precision, service_recall
  FROM figures
  UNION ALL
  SELECT
    s.project_id, s.iteration_id, c.scope, CAST(NULL AS {{type "string"}}) AS tag_id, CAST(NULL AS {{type "string"}}) AS tag_name,
    s.true_positives, s.false_positives, s.false_negatives,
    CASE WHEN c.scope = 'macro' THEN s.macro_precision ELSE {{figure "precision" "s."}} END AS precision,
    CASE WHEN c.scope = 'macro' THEN s.macro_recall ELSE {{figure "recall" "s."}} END AS recall,
    CASE WHEN c.scope = 'macro' THEN s.macro_f1 ELSE {{figure "f1" "s."}} END AS f1,
    e.precision AS service_precision, e.recall AS service_recall
  FROM sums AS s
  JOIN {{ref "exports"}} AS e ON e.project_id = s.project_id AND e.iteration_id = s.iteration_id
  CROSS JOIN (SELECT 'micro' AS scope UNION ALL SELECT 'macro' AS scope) AS c
)
SELECT
  r.project_id, r.iteration_id, r.scope, r.tag_id, r.tag_name,
  r.true_positives + r.false_negatives AS labels,
  r.true_positives, r.false_positives, r.false_negatives,
  r.precision, r.recall, r.f1, r.service_precision, r.service_recall,
  CASE WHEN s.same_thresholds THEN r.precision - r.service_precision END AS precision_difference,
  CASE WHEN s.same_thresholds THEN r.recall - r.service_recall END AS recall_difference,
  s.limited_to_tags
FROM rows_of_all AS r
JOIN (
  SELECT
    e.project_id, e.iteration_id,
    -- The service's figures are of every image.
    e.probability_threshold = asked.probability AND (e.overlap_threshold = asked.overlap OR k.model_kind = 'classification')
      AND {{limited "e"}} = 0 AS same_thresholds,
    {{limited "e"}} AS limited_to_tags
  FROM {{ref "exports"}} AS e
  JOIN {{ref "model_kinds"}} AS k ON k.project_id = e.project_id AND k.iteration_id = e.iteration_id
  CROSS JOIN (SELECT probability_threshold AS probability, overlap_threshold AS overlap) AS asked
) AS s ON s.project_id = r.project_id AND s.iteration_id = r.iteration_id
