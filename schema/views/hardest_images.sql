-- hardest_images: the images with mistakes, those first that the model got most wrong and was surest of
-- argument probability_threshold double 0.5: predictions less sure than this are left out
-- argument overlap_threshold double 0.3: how much a box must overlap a region to find it, as intersection over union, reached within 1e-9; a classifier has none
-- column project_id string: the project
-- column iteration_id string: the iteration
-- column place int64: from 1, the hardest of the iteration; of several as hard, by image_id
-- column image_id string: the image
-- column error double: the sum of the probabilities of the wrong predictions, and for each missed label 1 less the probability of the prediction below the threshold that would have found it, or 1 if none would; each to 12 decimal places, and ranked by that
-- column true_positives int64: predictions that were right
-- column false_positives int64: predictions that were wrong
-- column false_negatives int64: labels that were missed
-- column image_uri string: where the service keeps the image

-- At threshold 0 a missed label shows by what it would have been found.
WITH judged AS{{inline}} (
  SELECT
    project_id, iteration_id, image_id,
    CASE
      WHEN outcome = 'false_negative' OR (outcome = 'true_positive' AND probability < probability_threshold) THEN 'false_negative'
      ELSE outcome
    END AS outcome,
    COALESCE(probability, 0.0) AS probability
  FROM {{ref "outcomes"}}(0.0, overlap_threshold)
  WHERE outcome <> 'false_positive' OR probability >= probability_threshold
),
scored AS{{inline}} (
  SELECT
    project_id, iteration_id, image_id,
    -- In whole millionths of a millionth: the last digit of a sum of doubles depends on their order.
    SUM(CAST(ROUND(1e12 * CASE outcome WHEN 'false_positive' THEN probability WHEN 'false_negative' THEN 1 - probability ELSE 0.0 END) AS {{type "int64"}})) AS error,
    CAST(COUNTIF(outcome = 'true_positive') AS {{type "int64"}}) AS true_positives,
    CAST(COUNTIF(outcome = 'false_positive') AS {{type "int64"}}) AS false_positives,
    CAST(COUNTIF(outcome = 'false_negative') AS {{type "int64"}}) AS false_negatives
  FROM judged
  GROUP BY project_id, iteration_id, image_id
  HAVING COUNTIF(outcome <> 'true_positive') > 0
)
SELECT
  s.project_id, s.iteration_id,
  ROW_NUMBER() OVER (PARTITION BY s.project_id, s.iteration_id ORDER BY s.error DESC, s.image_id) AS place,
  s.image_id, s.error / 1e12 AS error, s.true_positives, s.false_positives, s.false_negatives, i.image_uri
FROM scored AS s
LEFT JOIN {{ref "current_images"}} AS i ON i.project_id = s.project_id AND i.iteration_id = s.iteration_id AND i.image_id = s.image_id
