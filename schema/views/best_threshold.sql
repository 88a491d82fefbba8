-- best_threshold: the probability threshold at which a tag's F1 is best, for each tag with a right prediction
-- argument overlap_threshold double 0.3: how much a box must overlap a region to find it, as intersection over union, reached within 1e-9; a classifier has none
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column tag_id string: the tag
-- column tag_name string: its name
-- column probability_threshold double: the threshold; of several as good, the highest
-- column true_positives int64: predictions that are right at it
-- column false_positives int64: predictions that are wrong at it
-- column labels int64: how many labels the tag has
-- column precision double: precision at it
-- column recall double: recall at it
-- column f1 double: F1 at it
-- column limited_to_tags int64: how many tags the export was limited to, which makes its figures look better than they are; 0: every image

SELECT
  project_id, iteration_id, tag_id, tag_name, probability AS probability_threshold, true_positives, false_positives, labels, precision, recall,
  2 * true_positives / (true_positives + false_positives + labels) AS f1, limited_to_tags
FROM {{ref "precision_recall_curve"}}(overlap_threshold)
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY project_id, iteration_id, tag_id
  ORDER BY 2 * true_positives / (true_positives + false_positives + labels) DESC, probability DESC) = 1
