-- label_suspects: labels that look wrong, missing or misplaced, those first that a person should look at first
-- argument overlap_threshold double 0.5: how much two boxes must overlap to be about the same object, as intersection over union, reached within 1e-9; a classifier has none
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column place int64: from 1, the most suspect of the iteration: by score, then image_id, kind, label_index and prediction_index
-- column image_id string: the image
-- column kind string: overlooked (a tag or an object that is not labelled), swapped (labelled as another tag), superfluous (a tag that a multi-label classifier does not see), badly_placed (a region that the box of its tag overlaps too little)
-- column score double: 0 to 1, the higher the more suspect: how sure the model is that the predicted tag is there, times how sure it is that the labelled one is not, times, for a classifier, how often the labels agree when it is as sure; rounded to nine digits
-- column predicted_tag_id string: the tag that the model sees; null for superfluous
-- column predicted_tag_name string: its name
-- column predicted_probability double: the prediction's probability
-- column predicted_threshold double: the mean probability of that tag where it is labelled, 0 where nothing finds the label; a surer prediction is confident
-- column labelled_tag_id string: the tag of the doubted label; null for overlooked
-- column labelled_tag_name string: its name
-- column labelled_probability double: the probability of the prediction that finds the label, 0 if none does
-- column labelled_threshold double: the mean probability of that tag where it is not labelled: on a classifier's other images, 0 if not listed; of a detector's boxes that find nothing; 0 if there are none
-- column prediction_index int32: the prediction's place in the service's list; null for superfluous if the tag is not in it
-- column label_index int32: the doubted label's place among the image's regions or tags; null for overlooked
-- column region_id string: the doubted region; null for a classifier
-- column iou double: intersection over union of the box and that region
-- column image_uri string: where the service keeps the image

-- Thresholds, confident predictions and trust (the confident joint, one tag against the rest) are those of Northcutt, Jiang and Chuang,
-- Confident Learning, JAIR 70 (2021); what is wrong with a box is from Tkachenko, Thyagarajan and Mueller, ObjectLab (2023).
WITH judged AS{{inline}} (
  SELECT
    project_id, iteration_id, image_id, outcome, tag_id, tag_name, COALESCE(probability, 0.0) AS probability, prediction_index, label_index, iou,
    box_left, box_top, box_width, box_height,
    outcome <> 'false_positive' AS is_label, outcome = 'false_positive' AND (label_index IS NULL OR iou < overlap_threshold - 1e-9) AS is_unlabelled
  FROM {{ref "outcomes"}}(0.0, overlap_threshold)
),
models AS{{inline}} (
  SELECT
    k.project_id, k.iteration_id, k.images,
    CASE
      WHEN k.model_kind = 'detection' THEN 'detector'
      WHEN e.classification_type = 'Multiclass' OR (e.classification_type IS NULL AND COALESCE(l.last_index, 0) = 0) THEN 'multiclass'
      ELSE 'multilabel'
    END AS method
  FROM (
    SELECT k.project_id, k.iteration_id, k.model_kind, COUNT(*) AS images
    FROM {{ref "model_kinds"}} AS k
    JOIN {{ref "current_images"}} AS i ON i.project_id = k.project_id AND i.iteration_id = k.iteration_id
    GROUP BY k.project_id, k.iteration_id, k.model_kind
  ) AS k
  JOIN {{ref "exports"}} AS e ON e.project_id = k.project_id AND e.iteration_id = k.iteration_id
  LEFT JOIN (
    SELECT project_id, iteration_id, MAX(label_index) AS last_index FROM {{ref "current_labels"}} GROUP BY project_id, iteration_id
  ) AS l ON l.project_id = k.project_id AND l.iteration_id = k.iteration_id
),
-- Sums of whole numbers, which do not depend on the order of rows.
means AS{{inline}} (
  SELECT
    j.project_id, j.iteration_id, j.tag_id, m.method, MAX(j.tag_name) AS tag_name,
    SUM(CASE WHEN j.is_label THEN CAST(FLOOR(j.probability * 1e9) AS {{type "int64"}}) ELSE 0 END) / NULLIF(COUNTIF(j.is_label), 0) / 1e9 AS here,
    COALESCE(SUM(CASE WHEN j.is_unlabelled THEN CAST(FLOOR(j.probability * 1e9) AS {{type "int64"}}) ELSE 0 END)
      / NULLIF(CASE m.method WHEN 'detector' THEN COUNTIF(j.is_unlabelled) ELSE MAX(m.images) - COUNTIF(j.is_label) END, 0) / 1e9, 0.0) AS elsewhere
  FROM judged AS j
  JOIN models AS m ON m.project_id = j.project_id AND m.iteration_id = j.iteration_id
  GROUP BY j.project_id, j.iteration_id, j.tag_id, m.method
),
-- A classifier's tag that is as sure elsewhere as where it is labelled says nothing.
tags AS{{inline}} (
  SELECT
    m.project_id, m.iteration_id, m.tag_id, m.method, m.tag_name, m.here, m.elsewhere, m.method = 'detector' OR m.here > m.elsewhere AS speaks,
    COUNTIF(j.is_label AND j.probability >= m.here) AS agreed,
    COUNTIF(j.is_unlabelled AND j.probability >= m.here) AS unlabelled,
    COUNTIF(j.is_label AND j.probability <= m.elsewhere) AS denied
  FROM judged AS j
  JOIN means AS m ON m.project_id = j.project_id AND m.iteration_id = j.iteration_id AND m.tag_id = j.tag_id
  GROUP BY m.project_id, m.iteration_id, m.tag_id, m.method, m.tag_name, m.here, m.elsewhere
),
-- Of all rows the few that matter: labels, and confident predictions that are not labelled.
scored AS{{once}} (
  SELECT
    j.project_id, j.iteration_id, j.image_id, j.tag_id, t.tag_name, j.probability, j.prediction_index, j.label_index, j.is_label,
    j.box_left, j.box_top, j.box_width, j.box_height, t.method, t.here, t.elsewhere, t.speaks,
    t.speaks AND j.probability > 0 AND j.probability >= t.here AS is_confident,
    1 - COALESCE((1 - j.probability) / NULLIF(2 - t.here - j.probability, 0), 0.0) AS presence,
    1 - COALESCE(j.probability / NULLIF(t.elsewhere + j.probability, 0), 0.0) AS absence,
    CASE t.method WHEN 'detector' THEN 1.0 ELSE t.agreed / NULLIF(t.agreed + t.unlabelled, 0) END AS presence_trust,
    t.agreed / NULLIF(t.agreed + t.denied, 0) AS absence_trust
  FROM judged AS j
  JOIN tags AS t ON t.project_id = j.project_id AND t.iteration_id = j.iteration_id AND t.tag_id = j.tag_id
  WHERE j.is_label OR (j.is_unlabelled AND t.speaks AND j.probability > 0 AND j.probability >= t.here)
),
labels AS{{inline}} (
  SELECT
    s.project_id, s.iteration_id, s.image_id, s.label_index, s.tag_id, s.tag_name, l.region_id, l.box_left, l.box_top, l.box_width, l.box_height,
    s.method, s.elsewhere, s.speaks, s.probability, s.prediction_index, s.absence, s.absence_trust
  FROM scored AS s
  JOIN {{ref "current_labels"}} AS l
    ON l.project_id = s.project_id AND l.iteration_id = s.iteration_id AND l.image_id = s.image_id AND l.label_index = s.label_index
  WHERE s.is_label
),
-- The tags of a multi-class image compete: only the most probable of the confident ones counts, and if it is labelled, none.
confident AS{{inline}} (
  SELECT *
  FROM scored
  WHERE NOT is_label AND method <> 'multiclass'
  UNION ALL
  SELECT *
  FROM (
    SELECT *
    FROM scored
    WHERE is_confident AND method = 'multiclass'
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY project_id, iteration_id, image_id ORDER BY probability DESC, is_label DESC, prediction_index) = 1
  ) AS surest
  WHERE NOT is_label
),
-- A box is about the region of another tag that it overlaps most, if that is enough, else about the one of its own tag that it meets.
doubts AS{{inline}} (
  SELECT
    c.project_id, c.iteration_id, c.image_id, c.prediction_index, l.label_index, l.tag_id, l.tag_name, l.region_id, l.probability, l.elsewhere, l.absence,
    CASE c.method WHEN 'detector' THEN {{iou "c" "l"}} END AS iou
  FROM confident AS c
  JOIN labels AS l ON l.project_id = c.project_id AND l.iteration_id = c.iteration_id AND l.image_id = c.image_id
  WHERE (c.method = 'multiclass' OR (c.method = 'detector'
    AND (l.label_index = c.label_index OR (l.tag_id <> c.tag_id AND {{iou "c" "l"}} >= overlap_threshold - 1e-9))))
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY c.project_id, c.iteration_id, c.image_id, c.prediction_index, CASE c.method WHEN 'multiclass' THEN l.label_index END
    ORDER BY CASE WHEN l.tag_id <> c.tag_id THEN 0 ELSE 1 END, {{iou "c" "l"}} DESC, l.label_index) = 1
),
claims AS{{inline}} (
  SELECT
    c.project_id, c.iteration_id, c.image_id, c.method, c.tag_id, c.tag_name, c.probability, c.here, c.prediction_index, c.box_left, c.box_top, c.box_width, c.box_height,
    d.label_index, d.tag_id AS doubted_tag_id, d.tag_name AS doubted_tag_name, d.region_id, d.probability AS doubted_probability, d.elsewhere, d.iou,
    CASE WHEN d.label_index IS NULL THEN 'overlooked' WHEN d.tag_id = c.tag_id THEN 'badly_placed' ELSE 'swapped' END AS kind,
    -- A second box of a region that is found is the model's error.
    CASE WHEN d.tag_id = c.tag_id AND d.probability >= c.here THEN 0.0 ELSE ROUND(c.presence * COALESCE(d.absence, 1.0) * c.presence_trust, 9) END AS score
  FROM confident AS c
  LEFT JOIN doubts AS d
    ON d.project_id = c.project_id AND d.iteration_id = c.iteration_id AND d.image_id = c.image_id AND d.prediction_index = c.prediction_index
),
-- Claims about one label, or one place where nothing is labelled, and those that are more suspect.
pairs AS{{inline}} (
  SELECT DISTINCT c.project_id, c.iteration_id, c.image_id, c.prediction_index, b.prediction_index AS better_index
  FROM claims AS c
  JOIN claims AS b ON b.project_id = c.project_id AND b.iteration_id = c.iteration_id AND b.image_id = c.image_id
  WHERE (b.score > c.score OR (b.score = c.score AND b.prediction_index < c.prediction_index))
    AND (b.label_index = c.label_index OR (b.kind = 'overlooked' AND c.kind = 'overlooked'
      AND CASE c.method WHEN 'detector' THEN {{iou "b" "c"}} >= overlap_threshold - 1e-9 ELSE b.tag_id = c.tag_id END))
),
-- A claim is left out for one that has no better one itself, which is listed: of a row of boxes that overlap one after the other, the ends stay.
doubles AS{{inline}} (
  SELECT DISTINCT c.project_id, c.iteration_id, c.image_id, c.prediction_index
  FROM pairs AS c
  LEFT JOIN pairs AS b
    ON b.project_id = c.project_id AND b.iteration_id = c.iteration_id AND b.image_id = c.image_id AND b.prediction_index = c.better_index
  WHERE b.image_id IS NULL
),
suspects AS{{inline}} (
  SELECT
    c.project_id, c.iteration_id, c.image_id, c.kind, c.score, c.tag_id AS predicted_tag_id, c.tag_name AS predicted_tag_name, c.probability AS predicted_probability,
    c.here AS predicted_threshold, c.doubted_tag_id AS labelled_tag_id, c.doubted_tag_name AS labelled_tag_name, c.doubted_probability AS labelled_probability,
    c.elsewhere AS labelled_threshold, c.prediction_index, c.label_index, c.region_id, c.iou
  FROM claims AS c
  LEFT JOIN doubles AS d
    ON d.project_id = c.project_id AND d.iteration_id = c.iteration_id AND d.image_id = c.image_id AND d.prediction_index = c.prediction_index
  WHERE c.score > 0 AND d.image_id IS NULL
  UNION ALL
  SELECT
    project_id, iteration_id, image_id, 'superfluous' AS kind, ROUND(absence * absence_trust, 9) AS score,
    CAST(NULL AS {{type "string"}}) AS predicted_tag_id, CAST(NULL AS {{type "string"}}) AS predicted_tag_name,
    CAST(NULL AS {{type "double"}}) AS predicted_probability, CAST(NULL AS {{type "double"}}) AS predicted_threshold,
    tag_id AS labelled_tag_id, tag_name AS labelled_tag_name, probability AS labelled_probability,
    elsewhere AS labelled_threshold, prediction_index, label_index, region_id, CAST(NULL AS {{type "double"}}) AS iou
  FROM labels
  WHERE method = 'multilabel' AND speaks AND probability <= elsewhere AND ROUND(absence * absence_trust, 9) > 0
)
SELECT
  s.project_id, s.iteration_id,
  ROW_NUMBER() OVER (
    PARTITION BY s.project_id, s.iteration_id
    ORDER BY s.score DESC, s.image_id, s.kind, s.label_index, s.prediction_index) AS place,
  s.image_id, s.kind, s.score,
  s.predicted_tag_id, s.predicted_tag_name, s.predicted_probability, s.predicted_threshold,
  s.labelled_tag_id, s.labelled_tag_name, s.labelled_probability, s.labelled_threshold,
  s.prediction_index, s.label_index, s.region_id, s.iou, i.image_uri
FROM suspects AS s
LEFT JOIN {{ref "current_images"}} AS i ON i.project_id = s.project_id AND i.iteration_id = s.iteration_id AND i.image_id = s.image_id
