-- outcomes: every prediction from the probability threshold on, right or wrong, and every label that none of them found
-- argument probability_threshold double 0.5: predictions less sure than this are left out
-- argument overlap_threshold double 0.3: how much a box must overlap a region to find it, as intersection over union, reached within 1e-9; a classifier has none
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column image_id string: the image
-- column outcome string: true_positive, false_positive, or false_negative (a missed label)
-- column tag_id string: the tag that was predicted, or missed
-- column tag_name string: its name when the iteration was exported
-- column probability double: how sure the model was; null for a missed label
-- column prediction_index int32: the prediction's place in the service's list; null for a missed label
-- column label_index int32: the place of the label that was found, compared with, or missed, among the image's regions or tags; null if there is none
-- column region_id string: the region that was found, compared with (the one of the tag that the box overlaps most), or missed
-- column iou double: intersection over union of the box and that region; null if they do not meet (share no billionth of their union), and for a missed label
-- column box_left double: the predicted box's left edge, or the missed region's
-- column box_top double: the predicted box's top edge, or the missed region's
-- column box_width double: the predicted box's width, or the missed region's
-- column box_height double: the predicted box's height, or the missed region's

-- PASCAL VOC 2012 (development kit, section 3.4): a prediction is compared with the label of its tag that it overlaps most.
WITH pairs AS{{inline}} (
  SELECT
    p.project_id, p.iteration_id, p.image_id, p.prediction_index, p.probability, l.label_index, l.region_id,
    LEAST(p.box_left + p.box_width, l.box_left + l.box_width) - GREATEST(p.box_left, l.box_left) AS width,
    LEAST(p.box_top + p.box_height, l.box_top + l.box_height) - GREATEST(p.box_top, l.box_top) AS height,
    p.box_width * p.box_height + l.box_width * l.box_height AS areas
  FROM {{ref "current_predictions"}} AS p
  JOIN {{ref "current_labels"}} AS l
    ON l.project_id = p.project_id AND l.iteration_id = p.iteration_id AND l.image_id = p.image_id AND l.tag_id = p.tag_id
  WHERE p.probability >= probability_threshold
),
compared AS{{inline}} (
  SELECT
    project_id, iteration_id, image_id, prediction_index, probability, label_index, region_id,
    width * height / NULLIF(areas - width * height, 0) AS iou
  FROM pairs
  -- Without its box, a detector's prediction has no areas; it has a width, as DuckDB's LEAST and GREATEST leave nulls out.
  -- Boxes in decimal fractions that only touch may share a hair. Tiny boxes may have a union of 0. NULLIF keeps a database that divides before it filters from dividing by zero.
  WHERE region_id IS NULL OR (width > 0 AND height > 0 AND areas > width * height AND width * height > 1e-9 * (areas - width * height))
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY project_id, iteration_id, image_id, prediction_index
    ORDER BY width * height / NULLIF(areas - width * height, 0) DESC, label_index) = 1
),
-- It is right if that is enough and no surer prediction has taken the label. Decimal
-- fractions that overlap by exactly the threshold may come out a hair below it.
judged AS{{inline}} (
  SELECT
    project_id, iteration_id, image_id, prediction_index, label_index, region_id, iou,
    (iou IS NULL OR iou >= overlap_threshold - 1e-9) AND ROW_NUMBER() OVER (
      PARTITION BY project_id, iteration_id, image_id, label_index, iou IS NULL OR iou >= overlap_threshold - 1e-9
      ORDER BY probability DESC, prediction_index) = 1 AS is_right
  FROM compared
)
SELECT
  p.project_id, p.iteration_id, p.image_id,
  CASE WHEN j.is_right THEN 'true_positive' ELSE 'false_positive' END AS outcome,
  p.tag_id, p.tag_name, p.probability, p.prediction_index, j.label_index, j.region_id, j.iou,
  p.box_left, p.box_top, p.box_width, p.box_height
FROM {{ref "current_predictions"}} AS p
LEFT JOIN judged AS j
  ON j.project_id = p.project_id AND j.iteration_id = p.iteration_id AND j.image_id = p.image_id AND j.prediction_index = p.prediction_index
WHERE p.probability >= probability_threshold
UNION ALL
SELECT
  l.project_id, l.iteration_id, l.image_id, 'false_negative' AS outcome,
  l.tag_id, l.tag_name, CAST(NULL AS {{type "double"}}) AS probability, CAST(NULL AS {{type "int32"}}) AS prediction_index,
  l.label_index, l.region_id, CAST(NULL AS {{type "double"}}) AS iou,
  l.box_left, l.box_top, l.box_width, l.box_height
FROM {{ref "current_labels"}} AS l
LEFT JOIN judged AS j
  ON j.project_id = l.project_id AND j.iteration_id = l.iteration_id AND j.image_id = l.image_id AND j.label_index = l.label_index
  AND j.is_right
WHERE j.image_id IS NULL
