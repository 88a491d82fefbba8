-- label_suspects: confident predictions that disagree with the labels, the likely labelling errors, the surest first
-- argument probability_threshold double 0.9: how sure the model must be
-- argument overlap_threshold double 0.3: how much a box must overlap a region to find it, as intersection over union, reached within 1e-9; a classifier has none
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column place int64: from 1, the likeliest of the iteration; of several as likely, by image_id, suspicion and prediction_index
-- column image_id string: the image
-- column suspicion string: wrong_tag (labelled as another tag), missing_label (nothing labelled there), misplaced_box (the tag's region overlaps too little), or extra_label (a classifier's missed label: it is sure that the tag is not there)
-- column confidence double: how sure the model is: the prediction's probability, or 1 less it for extra_label
-- column predicted_tag_id string: the tag that the model sees; null for extra_label
-- column predicted_tag_name string: its name
-- column labelled_tag_id string: the tag of the doubted label; null for missing_label
-- column labelled_tag_name string: its name
-- column prediction_index int32: the prediction's place in the service's list
-- column label_index int32: the doubted label's place among the image's regions or tags; null for missing_label
-- column region_id string: the doubted region; null for a classifier
-- column iou double: intersection over union of the box and that region
-- column image_uri string: where the service keeps the image

WITH doubts AS{{inline}} (
  SELECT
    project_id, iteration_id, image_id, mistake, true_tag_id, true_tag_name, predicted_tag_id, predicted_tag_name,
    probability, prediction_index, label_index, region_id, iou
  FROM {{ref "mistakes"}}(probability_threshold, overlap_threshold)
  WHERE CASE mistake
    WHEN 'missed' THEN region_id IS NULL
    -- A second prediction of a label that is found is the model's error, not the label's.
    WHEN 'unlabelled' THEN label_index IS NULL OR iou < overlap_threshold - 1e-9
    ELSE TRUE
  END
),
denials AS{{inline}} (
  -- What the classifier thinks of each missed label, its surest prediction first.
  SELECT
    m.project_id, m.iteration_id, m.image_id, m.true_tag_id, m.true_tag_name, m.label_index, m.region_id,
    p.prediction_index, p.probability,
    ROW_NUMBER() OVER (
      PARTITION BY m.project_id, m.iteration_id, m.image_id, m.label_index
      ORDER BY p.probability DESC, p.prediction_index) AS nth
  FROM doubts AS m
  JOIN {{ref "current_predictions"}} AS p
    ON p.project_id = m.project_id AND p.iteration_id = m.iteration_id AND p.image_id = m.image_id AND p.tag_id = m.true_tag_id
  WHERE m.mistake = 'missed'
),
disagreements AS{{inline}} (
  SELECT
    project_id, iteration_id, image_id,
    CASE WHEN mistake = 'confused' THEN 'wrong_tag' WHEN region_id IS NULL THEN 'missing_label' ELSE 'misplaced_box' END AS suspicion,
    probability AS confidence, predicted_tag_id, predicted_tag_name,
    CASE WHEN mistake = 'confused' THEN true_tag_id WHEN region_id IS NOT NULL THEN predicted_tag_id END AS labelled_tag_id,
    CASE WHEN mistake = 'confused' THEN true_tag_name WHEN region_id IS NOT NULL THEN predicted_tag_name END AS labelled_tag_name,
    prediction_index, label_index, region_id, iou
  FROM doubts
  WHERE mistake <> 'missed'
  UNION ALL
  SELECT
    project_id, iteration_id, image_id, 'extra_label' AS suspicion, 1 - probability AS confidence,
    CAST(NULL AS {{type "string"}}) AS predicted_tag_id, CAST(NULL AS {{type "string"}}) AS predicted_tag_name,
    true_tag_id AS labelled_tag_id, true_tag_name AS labelled_tag_name,
    prediction_index, label_index, region_id, CAST(NULL AS {{type "double"}}) AS iou
  FROM denials
  WHERE nth = 1 AND 1 - probability >= probability_threshold
),
-- Put in order before the addresses come, which are long.
placed AS{{inline}} (
  SELECT
    project_id, iteration_id,
    ROW_NUMBER() OVER (
      PARTITION BY project_id, iteration_id
      ORDER BY confidence DESC, image_id, suspicion, prediction_index) AS place,
    image_id, suspicion, confidence, predicted_tag_id, predicted_tag_name, labelled_tag_id, labelled_tag_name,
    prediction_index, label_index, region_id, iou
  FROM disagreements
)
SELECT
  p.project_id, p.iteration_id, p.place,
  p.image_id, p.suspicion, p.confidence, p.predicted_tag_id, p.predicted_tag_name, p.labelled_tag_id, p.labelled_tag_name,
  p.prediction_index, p.label_index, p.region_id, p.iou, i.image_uri
FROM placed AS p
LEFT JOIN {{ref "current_images"}} AS i ON i.project_id = p.project_id AND i.iteration_id = p.iteration_id AND i.image_id = p.image_id
