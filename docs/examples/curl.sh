#!/bin/sh
# Runs a workflow with curl and saves its image: curl.sh SERVER WORKFLOW.json OUT.png
# The workflow is in API form (Workflow > Export (API) in the editor). With COMFYGO_API_KEY set, the key is shown.
set -eu
server=${1%/} workflow=$2 out=$3

call() { curl -fsS ${COMFYGO_API_KEY:+-H "Authorization: Bearer $COMFYGO_API_KEY"} "$@"; }
first() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# Queue it, and wait for its end in the same request: comfygo has ?wait=SECONDS.
answer=$(printf '{"prompt": %s}' "$(cat "$workflow")" |
  call -H 'Content-Type: application/json' --data-binary @- "$server/prompt?wait=600" | tr ',{' '\n\n')

name=$(printf '%s\n' "$answer" | first filename)
folder=$(printf '%s\n' "$answer" | first subfolder)
kind=$(printf '%s\n' "$answer" | sed -n '/"filename"/,$p' | first type)
[ -n "$name" ] || { echo "the workflow has made no image" >&2; exit 1; }

call -G "$server/view" --data-urlencode "filename=$name" --data-urlencode "subfolder=$folder" --data-urlencode "type=$kind" -o "$out"
echo "$out"
