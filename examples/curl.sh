#!/bin/sh
# Sends the reference hand of a gesture: sh examples/curl.sh [gesture] [url]
set -eu
gesture=${1:-like}
url=${2:-http://localhost:3000}
cd "$(dirname "$0")/.."
python3 -c '
import json, sys
reference = json.load(open("artifacts/reference_hands.json"))
print(json.dumps({"landmarks": reference["hands"][sys.argv[1]], "image_size": reference["image_size"]}))
' "$gesture" | curl --silent --show-error --fail-with-body \
  --header "Content-Type: application/json" --data-binary @- "$url/predict"
echo
