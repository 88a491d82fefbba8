-- comparison: how two iterations of a project do on the images that both were evaluated on: precision, recall and F1 of each tag and of all together, and what the other one fixed and broke
-- argument project string: the id of the project
-- argument before string: the id of the one iteration
-- argument after string: the id of the other iteration
-- argument probability_threshold double 0.5: predictions less sure than this are left out
-- argument overlap_threshold double 0.3: how much a box must overlap a region to find it, as intersection over union, reached within 1e-9; a classifier has none
-- column project_id string: the project
-- column before_iteration_id string: the one iteration
-- column after_iteration_id string: the other iteration
-- column scope string: tag (each with a case), or of all tags: micro (every case counts the same) or macro (every tag that has a case in that iteration counts the same)
-- column tag_id string: the tag; null for micro and macro
-- column tag_name string: its name; if it was renamed, the one in the other iteration
-- column images int64: the images that both were evaluated on, which all these figures are of
-- column fixed int64: cases, a tag on an image, that were wrong before and are right after, as iteration_changes has them
-- column broken int64: cases that were right before and are wrong after
-- column still_right int64: cases that are right in both
-- column still_wrong int64: cases that are wrong in both
-- column before_true_positives int64: right predictions before
-- column before_false_positives int64: wrong predictions before
-- column before_false_negatives int64: missed labels before
-- column before_precision double: precision before, as tag_metrics has it; null if nothing was predicted, which macro takes for 0
-- column before_recall double: recall before; null if nothing is labelled, which macro takes for 0
-- column before_f1 double: F1 before; null if there is no case
-- column after_true_positives int64: right predictions after
-- column after_false_positives int64: wrong predictions after
-- column after_false_negatives int64: missed labels after
-- column after_precision double: precision after, as tag_metrics has it; null if nothing was predicted, which macro takes for 0
-- column after_recall double: recall after; null if nothing is labelled, which macro takes for 0
-- column after_f1 double: F1 after; null if there is no case
-- column before_limited_to_tags int64: how many tags the export before was limited to, which makes its figures look better than they are; 0: every image
-- column after_limited_to_tags int64: how many tags the export after was limited to, which makes its figures look better than they are; 0: every image

WITH counted AS{{once}} (
  SELECT
    tag_id, MAX(tag_name) AS tag_name,
    CAST(COUNTIF(change = 'fixed') AS {{type "int64"}}) AS fixed,
    CAST(COUNTIF(change = 'broken') AS {{type "int64"}}) AS broken,
    CAST(COUNTIF(change = 'still_right') AS {{type "int64"}}) AS still_right,
    CAST(COUNTIF(change = 'still_wrong') AS {{type "int64"}}) AS still_wrong,
    CAST(SUM(before_true_positives) AS {{type "int64"}}) AS before_true_positives,
    CAST(SUM(before_false_positives) AS {{type "int64"}}) AS before_false_positives,
    CAST(SUM(before_false_negatives) AS {{type "int64"}}) AS before_false_negatives,
    CAST(SUM(after_true_positives) AS {{type "int64"}}) AS after_true_positives,
    CAST(SUM(after_false_positives) AS {{type "int64"}}) AS after_false_positives,
    CAST(SUM(after_false_negatives) AS {{type "int64"}}) AS after_false_negatives
  FROM {{ref "iteration_changes"}}(project, before, after, probability_threshold, overlap_threshold)
  GROUP BY tag_id
),
figures AS{{inline}} (
  SELECT
    tag_id, tag_name, fixed, broken, still_right, still_wrong,
    before_true_positives, before_false_positives, before_false_negatives,
    {{figure "precision" "before_"}} AS before_precision,
    {{figure "recall" "before_"}} AS before_recall,
    {{figure "f1" "before_"}} AS before_f1,
    after_true_positives, after_false_positives, after_false_negatives,
    {{figure "precision" "after_"}} AS after_precision,
    {{figure "recall" "after_"}} AS after_recall,
    {{figure "f1" "after_"}} AS after_f1
  FROM counted
),
sums AS{{inline}} (
  SELECT
    CAST(COALESCE(SUM(fixed), 0) AS {{type "int64"}}) AS fixed,
    CAST(COALESCE(SUM(broken), 0) AS {{type "int64"}}) AS broken,
    CAST(COALESCE(SUM(still_right), 0) AS {{type "int64"}}) AS still_right,
    CAST(COALESCE(SUM(still_wrong), 0) AS {{type "int64"}}) AS still_wrong,
    CAST(COALESCE(SUM(before_true_positives), 0) AS {{type "int64"}}) AS before_true_positives,
    CAST(COALESCE(SUM(before_false_positives), 0) AS {{type "int64"}}) AS before_false_positives,
    CAST(COALESCE(SUM(before_false_negatives), 0) AS {{type "int64"}}) AS before_false_negatives,
    CAST(COALESCE(SUM(after_true_positives), 0) AS {{type "int64"}}) AS after_true_positives,
    CAST(COALESCE(SUM(after_false_positives), 0) AS {{type "int64"}}) AS after_false_positives,
    CAST(COALESCE(SUM(after_false_negatives), 0) AS {{type "int64"}}) AS after_false_negatives,
    {{mean "precision" "before_"}} AS before_macro_precision,
    {{mean "recall" "before_"}} AS before_macro_recall,
    {{mean "f1" "before_"}} AS before_macro_f1,
    {{mean "precision" "after_"}} AS after_macro_precision,
    {{mean "recall" "after_"}} AS after_macro_recall,
    {{mean "f1" "after_"}} AS after_macro_f1
  FROM figures
),
rows_of_all AS{{inline}} (
  SELECT
    'tag' AS scope, tag_id, tag_name, fixed, broken, still_right, still_wrong,
    before_true_positives, before_false_positives, before_false_negatives, before_precision, before_recall, before_f1,
    after_true_positives, after_false_positives, after_false_negatives, after_precision, after_recall, after_f1
  FROM figures
  UNION ALL
  SELECT
    c.scope, CAST(NULL AS {{type "string"}}) AS tag_id, CAST(NULL AS {{type "string"}}) AS tag_name, s.fixed, s.broken, s.still_right, s.still_wrong,
    s.before_true_positives, s.before_false_positives, s.before_false_negatives,
    CASE WHEN c.scope = 'macro' THEN s.before_macro_precision ELSE {{figure "precision" "s.before_"}} END AS before_precision,
    CASE WHEN c.scope = 'macro' THEN s.before_macro_recall ELSE {{figure "recall" "s.before_"}} END AS before_recall,
    CASE WHEN c.scope = 'macro' THEN s.before_macro_f1 ELSE {{figure "f1" "s.before_"}} END AS before_f1,
    s.after_true_positives, s.after_false_positives, s.after_false_negatives,
    CASE WHEN c.scope = 'macro' THEN s.after_macro_precision ELSE {{figure "precision" "s.after_"}} END AS after_precision,
    CASE WHEN c.scope = 'macro' THEN s.after_macro_recall ELSE {{figure "recall" "s.after_"}} END AS after_recall,
    CASE WHEN c.scope = 'macro' THEN s.after_macro_f1 ELSE {{figure "f1" "s.after_"}} END AS after_f1
  FROM sums AS s
  CROSS JOIN (SELECT 'micro' AS scope UNION ALL SELECT 'macro' AS scope) AS c
),
in_both AS{{inline}} (
  SELECT CAST(COUNT(*) AS {{type "int64"}}) AS images
  FROM {{ref "current_images"}} AS b
  JOIN {{ref "current_images"}} AS a ON a.image_id = b.image_id
  WHERE b.project_id = project AND b.iteration_id = before AND a.project_id = project AND a.iteration_id = after
)
SELECT
  project AS project_id, before AS before_iteration_id, after AS after_iteration_id,
  r.scope, r.tag_id, r.tag_name, i.images, r.fixed, r.broken, r.still_right, r.still_wrong,
  r.before_true_positives, r.before_false_positives, r.before_false_negatives, r.before_precision, r.before_recall, r.before_f1,
  r.after_true_positives, r.after_false_positives, r.after_false_negatives, r.after_precision, r.after_recall, r.after_f1,
  {{limited "b"}} AS before_limited_to_tags, {{limited "a"}} AS after_limited_to_tags
FROM rows_of_all AS r
CROSS JOIN in_both AS i
JOIN {{ref "exports"}} AS b ON b.project_id = project AND b.iteration_id = before
JOIN {{ref "exports"}} AS a ON a.project_id = project AND a.iteration_id = after
