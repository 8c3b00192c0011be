#!/bin/sh
# Classifies the reference hand of a gesture: sh examples/curl.sh [gesture] [url]
set -eu
gesture=${1:-like}
url=${2:-http://localhost:3000}
cd "$(dirname "$0")/.."
body=$(python3 -c '
import json, sys
reference = json.load(open("artifacts/reference_hands.json"))
if sys.argv[1] not in reference["hands"]:
    sys.exit("There is no gesture " + sys.argv[1] + "; choose one of " + ", ".join(reference["hands"]) + ".")
print(json.dumps({"landmarks": reference["hands"][sys.argv[1]], "image_size": reference["image_size"]}))
' "$gesture")
echo "$body" | curl --silent --show-error --fail-with-body \
  --header "Content-Type: application/json" --data-binary @- "$url/predict"
echo
