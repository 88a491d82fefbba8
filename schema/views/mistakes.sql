-- mistakes: every wrong prediction and every missed label, a wrong prediction together with the missed label that it most likely was meant for
-- argument probability_threshold double 0.5: predictions less sure than this are left out
-- argument overlap_threshold double 0.3: how much a box must overlap a region to find it, as intersection over union, reached within 1e-9; a classifier has none
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column image_id string: the image
-- column mistake string: confused (predicted one tag, labelled another), unlabelled (predicted, and no missed label goes with it), missed (labelled, and no wrong prediction goes with it)
-- column true_tag_id string: the tag of the missed label; null for unlabelled
-- column true_tag_name string: its name
-- column predicted_tag_id string: the tag that was predicted; null for missed
-- column predicted_tag_name string: its name
-- column probability double: how sure the model was; null for missed
-- column prediction_index int32: the prediction's place in the service's list; null for missed
-- column label_index int32: the missed label's place among the image's regions or tags; for unlabelled, that of the label of the same tag it was compared with
-- column region_id string: that label's region; null for a classifier
-- column iou double: intersection over union of the box and that region

WITH wrong_or_missed AS{{once}} (
  SELECT
    project_id, iteration_id, image_id, outcome, tag_id, tag_name, probability, prediction_index, label_index, region_id, iou,
    box_left, box_top, box_width, box_height
  FROM {{ref "outcomes"}}(probability_threshold, overlap_threshold)
  WHERE outcome <> 'true_positive'
),
-- A detector's wrong box goes with the missed region of another tag that it
-- overlaps most, if that is enough, and the surest of several has it.
pairs AS{{inline}} (
  SELECT
    w.project_id, w.iteration_id, w.image_id, w.prediction_index, w.probability,
    m.tag_id, m.tag_name, m.label_index, m.region_id,
    LEAST(w.box_left + w.box_width, m.box_left + m.box_width) - GREATEST(w.box_left, m.box_left) AS width,
    LEAST(w.box_top + w.box_height, m.box_top + m.box_height) - GREATEST(w.box_top, m.box_top) AS height,
    w.box_width * w.box_height + m.box_width * m.box_height AS areas
  FROM wrong_or_missed AS w
  JOIN wrong_or_missed AS m ON m.project_id = w.project_id AND m.iteration_id = w.iteration_id AND m.image_id = w.image_id
  WHERE w.outcome = 'false_positive' AND m.outcome = 'false_negative' AND m.region_id IS NOT NULL AND m.tag_id <> w.tag_id
),
compared AS{{inline}} (
  SELECT
    project_id, iteration_id, image_id, prediction_index, probability, tag_id, tag_name, label_index, region_id,
    width * height / NULLIF(areas - width * height, 0) AS iou
  FROM pairs
  WHERE width > 0 AND height > 0 AND areas > width * height AND width * height > 1e-9 * (areas - width * height) -- as in outcomes
    AND width * height / NULLIF(areas - width * height, 0) >= overlap_threshold - 1e-9
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY project_id, iteration_id, image_id, prediction_index
    ORDER BY width * height / NULLIF(areas - width * height, 0) DESC, label_index) = 1
),
-- A classifier's surest wrong tag goes with the first missed one, the next with
-- the second. Only images that have both are put in order.
missed_tags AS{{inline}} (
  SELECT
    project_id, iteration_id, image_id, tag_id, tag_name, label_index,
    ROW_NUMBER() OVER (PARTITION BY project_id, iteration_id, image_id ORDER BY label_index) AS place
  FROM wrong_or_missed
  WHERE outcome = 'false_negative' AND region_id IS NULL
),
wrong_tags AS{{inline}} (
  SELECT
    w.project_id, w.iteration_id, w.image_id, w.tag_id, w.prediction_index,
    ROW_NUMBER() OVER (PARTITION BY w.project_id, w.iteration_id, w.image_id ORDER BY w.probability DESC, w.prediction_index) AS place
  FROM wrong_or_missed AS w
  JOIN missed_tags AS m ON m.project_id = w.project_id AND m.iteration_id = w.iteration_id AND m.image_id = w.image_id
  WHERE w.outcome = 'false_positive' AND m.place = 1
),
paired AS{{inline}} (
  SELECT project_id, iteration_id, image_id, prediction_index, tag_id, tag_name, label_index, region_id, iou
  FROM compared
  QUALIFY ROW_NUMBER() OVER (PARTITION BY project_id, iteration_id, image_id, label_index ORDER BY probability DESC, prediction_index) = 1
  UNION ALL
  SELECT
    w.project_id, w.iteration_id, w.image_id, w.prediction_index, m.tag_id, m.tag_name, m.label_index,
    CAST(NULL AS {{type "string"}}) AS region_id, CAST(NULL AS {{type "double"}}) AS iou
  FROM wrong_tags AS w
  JOIN missed_tags AS m
    ON m.project_id = w.project_id AND m.iteration_id = w.iteration_id AND m.image_id = w.image_id AND m.place = w.place
  WHERE m.tag_id <> w.tag_id
),
-- Each pair under its prediction, and under its label, which is then no mistake of its own.
members AS{{inline}} (
  SELECT
    p.project_id, p.iteration_id, p.image_id, m.outcome, p.tag_id, p.tag_name, p.label_index, p.region_id, p.iou,
    CASE m.outcome WHEN 'false_positive' THEN p.prediction_index ELSE p.label_index END AS own_index
  FROM paired AS p
  CROSS JOIN (SELECT 'false_positive' AS outcome UNION ALL SELECT 'false_negative' AS outcome) AS m
)
SELECT
  o.project_id, o.iteration_id, o.image_id,
  CASE WHEN o.outcome = 'false_negative' THEN 'missed' WHEN m.tag_id IS NULL THEN 'unlabelled' ELSE 'confused' END AS mistake,
  CASE WHEN o.outcome = 'false_negative' THEN o.tag_id ELSE m.tag_id END AS true_tag_id,
  CASE WHEN o.outcome = 'false_negative' THEN o.tag_name ELSE m.tag_name END AS true_tag_name,
  CASE WHEN o.outcome = 'false_positive' THEN o.tag_id END AS predicted_tag_id,
  CASE WHEN o.outcome = 'false_positive' THEN o.tag_name END AS predicted_tag_name,
  o.probability, o.prediction_index,
  CASE WHEN m.tag_id IS NULL THEN o.label_index ELSE m.label_index END AS label_index,
  CASE WHEN m.tag_id IS NULL THEN o.region_id ELSE m.region_id END AS region_id,
  CASE WHEN m.tag_id IS NULL THEN o.iou ELSE m.iou END AS iou
FROM wrong_or_missed AS o
LEFT JOIN members AS m
  ON m.project_id = o.project_id AND m.iteration_id = o.iteration_id AND m.image_id = o.image_id
  AND m.outcome = o.outcome AND m.own_index = CASE o.outcome WHEN 'false_positive' THEN o.prediction_index ELSE o.label_index END
WHERE o.outcome = 'false_positive' OR m.tag_id IS NULL
