#!/usr/bin/env bash
# Puts job.yaml on Cloud Run and runs it every night: deploy.sh PROJECT REGION
#
# Once, before:
#   gcloud secrets create cvexport-training-key --data-file=KEYFILE
#   gcloud iam service-accounts create cvexport              # what job.yaml runs as
#   gcloud iam service-accounts create cvexport-scheduler    # what starts it
# and, after the first time, let the latter start the job and nothing else:
#   gcloud run jobs add-iam-policy-binding cvexport --region=REGION --role=roles/run.invoker \
#     --member=serviceAccount:cvexport-scheduler@PROJECT.iam.gserviceaccount.com
set -euo pipefail
cd "$(dirname "$0")"

if [ $# -ne 2 ]; then
  echo "usage: $0 PROJECT REGION" >&2
  exit 2
fi
project=$1 region=$2

gcloud run jobs replace job.yaml --project="$project" --region="$region"

# Create, or update what an earlier call created.
verb=create
if gcloud scheduler jobs describe cvexport-nightly --project="$project" --location="$region" >/dev/null 2>&1; then
  verb=update
fi
gcloud scheduler jobs "$verb" http cvexport-nightly --project="$project" --location="$region" \
  --schedule="15 2 * * *" --time-zone=Etc/UTC --http-method=POST \
  --uri="https://run.googleapis.com/v2/projects/$project/locations/$region/jobs/cvexport:run" \
  --oauth-service-account-email="cvexport-scheduler@$project.iam.gserviceaccount.com"
