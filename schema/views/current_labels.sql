-- current_labels: one row per label, the truth that predictions are judged by: a detector's regions, a classifier's tags
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column image_id string: the image
-- column label_index int32: the label's place among the image's regions or tags, from 0
-- column tag_id string: the tag
-- column tag_name string: the tag's name when the iteration was exported
-- column region_id string: the region; null for a classifier
-- column box_left double: the region's left edge, as a fraction of the image; null for a classifier
-- column box_top double: the region's top edge, as a fraction of the image; null for a classifier
-- column box_width double: the region's width, as a fraction of the image; null for a classifier
-- column box_height double: the region's height, as a fraction of the image; null for a classifier

SELECT
  r.project_id, r.iteration_id, r.image_id, r.region_index AS label_index, r.tag_id, r.tag_name, r.region_id,
  r.box_left, r.box_top, r.box_width, r.box_height
FROM {{ref "regions"}} AS r
JOIN {{ref "model_kinds"}} AS k ON k.project_id = r.project_id AND k.iteration_id = r.iteration_id
WHERE k.model_kind = 'detection'
UNION ALL
-- A tag that is listed twice on an image is one label.
SELECT
  t.project_id, t.iteration_id, t.image_id, MIN(t.tag_index) AS label_index, t.tag_id, MIN(t.tag_name) AS tag_name,
  CAST(NULL AS {{type "string"}}) AS region_id,
  CAST(NULL AS {{type "double"}}) AS box_left, CAST(NULL AS {{type "double"}}) AS box_top,
  CAST(NULL AS {{type "double"}}) AS box_width, CAST(NULL AS {{type "double"}}) AS box_height
FROM {{ref "tags"}} AS t
JOIN {{ref "model_kinds"}} AS k ON k.project_id = t.project_id AND k.iteration_id = t.iteration_id
WHERE k.model_kind = 'classification'
GROUP BY t.project_id, t.iteration_id, t.image_id, t.tag_id
