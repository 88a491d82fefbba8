-- iteration_changes: what another iteration of a project got right or wrong, tag by tag, on the images that both were evaluated on
-- argument project string: the id of the project
-- argument before string: the id of the one iteration
-- argument after string: the id of the other iteration
-- argument probability_threshold double 0.5: predictions less sure than this are left out
-- argument overlap_threshold double 0.3: how much a box must overlap a region to find it, as intersection over union, reached within 1e-9; a classifier has none
-- column project_id string: the project
-- column before_iteration_id string: the one iteration
-- column after_iteration_id string: the other iteration
-- column image_id string: the image
-- column tag_id string: a tag that the image has, or that was predicted before or after
-- column tag_name string: its name; if it was renamed, the one in the other iteration
-- column change string: fixed, broken, still_right or still_wrong; wrong is any wrong prediction or missed label of the tag
-- column before_true_positives int64: right predictions before
-- column before_false_positives int64: wrong predictions before
-- column before_false_negatives int64: missed labels before
-- column before_probability double: the surest of these predictions before; null if there was none
-- column after_true_positives int64: right predictions after
-- column after_false_positives int64: wrong predictions after
-- column after_false_negatives int64: missed labels after
-- column after_probability double: the surest of these predictions after; null if there was none

-- Each iteration by itself: of an IN, DuckDB would not know that it concerns every table.
WITH both_outcomes AS{{inline}} (
  SELECT 'before' AS side, image_id, tag_id, tag_name, outcome, probability
  FROM {{ref "outcomes"}}(probability_threshold, overlap_threshold)
  WHERE project_id = project AND iteration_id = before
  UNION ALL
  SELECT 'after' AS side, image_id, tag_id, tag_name, outcome, probability
  FROM {{ref "outcomes"}}(probability_threshold, overlap_threshold)
  WHERE project_id = project AND iteration_id = after
),
counted AS{{inline}} (
  SELECT
    image_id, tag_id, MAX(tag_name) AS tag_name,
    CAST(COUNTIF(side = 'before' AND outcome = 'true_positive') AS {{type "int64"}}) AS before_true_positives,
    CAST(COUNTIF(side = 'before' AND outcome = 'false_positive') AS {{type "int64"}}) AS before_false_positives,
    CAST(COUNTIF(side = 'before' AND outcome = 'false_negative') AS {{type "int64"}}) AS before_false_negatives,
    MAX(CASE WHEN side = 'before' THEN probability END) AS before_probability,
    CAST(COUNTIF(side = 'after' AND outcome = 'true_positive') AS {{type "int64"}}) AS after_true_positives,
    CAST(COUNTIF(side = 'after' AND outcome = 'false_positive') AS {{type "int64"}}) AS after_false_positives,
    CAST(COUNTIF(side = 'after' AND outcome = 'false_negative') AS {{type "int64"}}) AS after_false_negatives,
    MAX(CASE WHEN side = 'after' THEN probability END) AS after_probability
  FROM both_outcomes
  GROUP BY image_id, tag_id
),
in_both AS{{inline}} (
  SELECT b.image_id
  FROM {{ref "current_images"}} AS b
  JOIN {{ref "current_images"}} AS a ON a.image_id = b.image_id
  WHERE b.project_id = project AND b.iteration_id = before AND a.project_id = project AND a.iteration_id = after
),
-- One name a tag, also if it was renamed between the iterations.
names AS{{inline}} (
  SELECT tag_id, COALESCE(MAX(CASE WHEN iteration_id = after THEN tag_name END), MAX(tag_name)) AS tag_name
  FROM {{ref "tag_performance"}}
  WHERE project_id = project AND iteration_id IN (before, after)
  GROUP BY tag_id
)
SELECT
  project AS project_id, before AS before_iteration_id, after AS after_iteration_id, c.image_id, c.tag_id,
  COALESCE(n.tag_name, c.tag_name) AS tag_name,
  CASE
    WHEN c.before_false_positives + c.before_false_negatives = 0 THEN
      CASE WHEN c.after_false_positives + c.after_false_negatives = 0 THEN 'still_right' ELSE 'broken' END
    WHEN c.after_false_positives + c.after_false_negatives = 0 THEN 'fixed'
    ELSE 'still_wrong'
  END AS change,
  c.before_true_positives, c.before_false_positives, c.before_false_negatives, c.before_probability,
  c.after_true_positives, c.after_false_positives, c.after_false_negatives, c.after_probability
FROM counted AS c
JOIN in_both AS b ON b.image_id = c.image_id
LEFT JOIN names AS n ON n.tag_id = c.tag_id
