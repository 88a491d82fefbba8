-- label_suspects: labels that look wrong, those first that a person should look at first, by confident learning (classifiers) and ObjectLab (detectors)
-- argument overlap_threshold double 0.5: how much a box must overlap a region to be about the same object, as intersection over union; a classifier has none
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column place int64: from 1, the most suspect of the iteration: by score, then image_id, kind, label_index and prediction_index
-- column image_id string: the image
-- column kind string: overlooked (a tag or box that is not labelled), swapped (labelled as another tag), superfluous (a tag that a multi-label classifier does not see), badly_placed (a region that lies elsewhere than the box of its tag)
-- column score double: from 0 to 1, the highest is the most suspect; half the margin of the prediction over the label, in a detector times the overlap (swapped) or 1 less the overlap (overlooked, badly_placed), to nine digits
-- column predicted_tag_id string: the tag that the model sees; null for superfluous
-- column predicted_tag_name string: its name
-- column predicted_probability double: how sure the model is of it
-- column predicted_threshold double: how sure it is of that tag's labels on average, counting 0 for those that it misses: the tag's own threshold
-- column labelled_tag_id string: the tag of the doubted label; null for overlooked
-- column labelled_tag_name string: its name
-- column labelled_probability double: how sure the model is of the label: the probability of the prediction that finds it, or 0
-- column labelled_threshold double: how sure it is of that tag's labels on average
-- column prediction_index int32: the prediction's place in the service's list; null for superfluous if the service does not list the tag
-- column label_index int32: the doubted label's place among the image's regions or tags; null for overlooked
-- column region_id string: the doubted region; null for a classifier
-- column iou double: intersection over union of the box and that region, or of an overlooked box and the region that it overlaps most; null for a classifier
-- column image_uri string: where the service keeps the image

-- Northcutt, Jiang and Chuang, "Confident learning" (JAIR 70, 2021): a tag is there if its probability reaches its own mean over the tag's
-- labels (present). Tkachenko, Thyagarajan and Mueller, "ObjectLab" (2023): what can be wrong with a box, and what its overlap says.
WITH judged AS{{once}} (
  SELECT
    project_id, iteration_id, image_id, outcome, tag_id, tag_name, probability, prediction_index, label_index,
    box_left, box_top, box_width, box_height,
    outcome = 'false_positive' AND (label_index IS NULL OR iou < overlap_threshold) AS is_unlabelled
  FROM {{ref "outcomes"}}(0.0, overlap_threshold)
),
models AS{{inline}} (
  SELECT
    k.project_id, k.iteration_id, COUNT(*) AS images,
    MAX(CASE WHEN k.model_kind = 'detection' THEN 'detector' WHEN e.classification_type = 'Multiclass' THEN 'multiclass' ELSE 'multilabel' END) AS method
  FROM {{ref "model_kinds"}} AS k
  JOIN {{ref "exports"}} AS e ON e.project_id = k.project_id AND e.iteration_id = k.iteration_id
  JOIN {{ref "current_images"}} AS i ON i.project_id = k.project_id AND i.iteration_id = k.iteration_id
  GROUP BY k.project_id, k.iteration_id
),
-- One against the rest: absent is the mean of 1 less the probability where the tag is not labelled: on a classifier's other images, with 0
-- where it is not listed, and at a detector's boxes that find nothing. Sums of whole numbers do not depend on the order of rows.
tags AS{{once}} (
  SELECT
    j.project_id, j.iteration_id, j.tag_id, m.method, MAX(j.tag_name) AS tag_name,
    SUM(CASE j.outcome WHEN 'true_positive' THEN CAST(FLOOR(j.probability * 1e9) AS {{type "int64"}}) ELSE 0 END)
      / NULLIF(COUNTIF(j.outcome <> 'false_positive'), 0) / 1e9 AS present,
    1 - SUM(CASE WHEN j.is_unlabelled THEN CAST(FLOOR(j.probability * 1e9) AS {{type "int64"}}) ELSE 0 END)
      / NULLIF(CASE m.method WHEN 'detector' THEN COUNTIF(j.is_unlabelled) ELSE MAX(m.images) - COUNTIF(j.outcome <> 'false_positive') END, 0)
      / 1e9 AS absent
  FROM judged AS j
  JOIN models AS m ON m.project_id = j.project_id AND m.iteration_id = j.iteration_id
  GROUP BY j.project_id, j.iteration_id, j.tag_id, m.method
),
labels AS{{inline}} (
  SELECT
    l.project_id, l.iteration_id, l.image_id, l.label_index, l.tag_id, l.region_id, l.box_left, l.box_top, l.box_width, l.box_height,
    t.method, t.present, t.absent, COALESCE(j.probability, 0.0) AS probability, j.prediction_index
  FROM {{ref "current_labels"}} AS l
  JOIN tags AS t ON t.project_id = l.project_id AND t.iteration_id = l.iteration_id AND t.tag_id = l.tag_id
  LEFT JOIN judged AS j
    ON j.project_id = l.project_id AND j.iteration_id = l.iteration_id AND j.image_id = l.image_id AND j.label_index = l.label_index
    AND j.outcome = 'true_positive'
),
-- The probabilities of a multi-class image compete: only the tag that is farthest above its threshold counts.
confident AS{{inline}} (
  SELECT
    j.project_id, j.iteration_id, j.image_id, j.tag_id, j.probability, j.prediction_index, j.is_unlabelled,
    j.box_left, j.box_top, j.box_width, j.box_height, t.method, t.present, t.absent
  FROM judged AS j
  JOIN tags AS t ON t.project_id = j.project_id AND t.iteration_id = j.iteration_id AND t.tag_id = j.tag_id
  WHERE j.probability >= t.present AND j.probability > 0 AND (j.is_unlabelled OR (t.method = 'multiclass' AND j.outcome = 'true_positive'))
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY j.project_id, j.iteration_id, j.image_id, CASE WHEN t.method <> 'multiclass' THEN j.prediction_index END
    ORDER BY ROUND(j.probability - t.present, 9) DESC, j.is_unlabelled, j.prediction_index) = 1
),
pairs AS{{inline}} (
  SELECT
    c.*, l.label_index, l.tag_id AS labelled_tag_id, l.probability AS labelled_probability, l.present AS labelled_present, l.region_id,
    CASE c.method WHEN 'detector' THEN COALESCE({{iou "c" "l"}}, 0.0) END AS iou
  FROM confident AS c
  LEFT JOIN labels AS l
    ON l.project_id = c.project_id AND l.iteration_id = c.iteration_id AND l.image_id = c.image_id AND c.method <> 'multilabel'
  WHERE c.is_unlabelled
),
-- A box is about the region of another tag that it overlaps enough, else about one of its own tag that nothing confidently finds.
kinds AS{{inline}} (
  SELECT
    *, CASE
      WHEN label_index IS NULL THEN 'overlooked'
      WHEN method = 'multiclass' OR (labelled_tag_id <> tag_id AND iou > 0 AND iou >= overlap_threshold) THEN 'swapped'
      WHEN labelled_tag_id = tag_id AND iou > 0 AND labelled_probability < present THEN 'badly_placed'
      ELSE 'overlooked'
    END AS kind
  FROM pairs
),
claims AS{{inline}} (
  SELECT
    *, CASE kind WHEN 'overlooked' THEN NULL ELSE label_index END AS doubted_index,
    ROUND(CASE kind
      WHEN 'swapped' THEN COALESCE(iou, 1.0) * ((probability - present) - (labelled_probability - labelled_present))
      WHEN 'badly_placed' THEN (1 - iou) * ((probability - present) - (labelled_probability - labelled_present))
      ELSE (1 - COALESCE(iou, 0.0)) * ((probability - present) - (1 - probability - absent))
    END / 2, 9) AS score
  FROM kinds
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY project_id, iteration_id, image_id, prediction_index, CASE method WHEN 'multiclass' THEN label_index END
    ORDER BY CASE kind WHEN 'swapped' THEN 0 WHEN 'badly_placed' THEN 1 ELSE 2 END, iou DESC, label_index) = 1
),
-- Of several about the same label, or overlooked at the same place, the highest score alone.
suspects AS{{inline}} (
  SELECT
    c.project_id, c.iteration_id, c.image_id, c.kind, c.score, c.tag_id AS predicted_tag_id, c.probability AS predicted_probability,
    c.present AS predicted_threshold, CASE WHEN c.doubted_index IS NOT NULL THEN c.labelled_tag_id END AS labelled_tag_id,
    CASE WHEN c.doubted_index IS NOT NULL THEN c.labelled_probability END AS labelled_probability,
    CASE WHEN c.doubted_index IS NOT NULL THEN c.labelled_present END AS labelled_threshold,
    c.prediction_index, c.doubted_index AS label_index, CASE WHEN c.doubted_index IS NOT NULL THEN c.region_id END AS region_id, c.iou
  FROM claims AS c
  WHERE c.score > 0 AND NOT EXISTS (
    SELECT 1
    FROM claims AS b
    WHERE b.project_id = c.project_id AND b.iteration_id = c.iteration_id AND b.image_id = c.image_id
      AND (b.score > c.score OR (b.score = c.score AND b.prediction_index < c.prediction_index))
      AND (b.doubted_index = c.doubted_index OR (b.doubted_index IS NULL AND c.doubted_index IS NULL
        AND (CASE c.method WHEN 'detector' THEN {{iou "b" "c"}} >= overlap_threshold ELSE b.tag_id = c.tag_id END))))
  UNION ALL
  SELECT
    project_id, iteration_id, image_id, 'superfluous' AS kind, ROUND(((1 - probability - absent) - (probability - present)) / 2, 9) AS score,
    CAST(NULL AS {{type "string"}}) AS predicted_tag_id, CAST(NULL AS {{type "double"}}) AS predicted_probability,
    CAST(NULL AS {{type "double"}}) AS predicted_threshold, tag_id AS labelled_tag_id, probability AS labelled_probability,
    present AS labelled_threshold, prediction_index, label_index, region_id, CAST(NULL AS {{type "double"}}) AS iou
  FROM labels
  WHERE method = 'multilabel' AND 1 - probability >= absent AND ROUND(((1 - probability - absent) - (probability - present)) / 2, 9) > 0
)
SELECT
  s.project_id, s.iteration_id,
  ROW_NUMBER() OVER (
    PARTITION BY s.project_id, s.iteration_id
    ORDER BY s.score DESC, s.image_id, s.kind, s.label_index, s.prediction_index) AS place,
  s.image_id, s.kind, s.score,
  s.predicted_tag_id, p.tag_name AS predicted_tag_name, s.predicted_probability, s.predicted_threshold,
  s.labelled_tag_id, l.tag_name AS labelled_tag_name, s.labelled_probability, s.labelled_threshold,
  s.prediction_index, s.label_index, s.region_id, s.iou, i.image_uri
FROM suspects AS s
LEFT JOIN tags AS p ON p.project_id = s.project_id AND p.iteration_id = s.iteration_id AND p.tag_id = s.predicted_tag_id
LEFT JOIN tags AS l ON l.project_id = s.project_id AND l.iteration_id = s.iteration_id AND l.tag_id = s.labelled_tag_id
LEFT JOIN {{ref "current_images"}} AS i ON i.project_id = s.project_id AND i.iteration_id = s.iteration_id AND i.image_id = s.image_id
