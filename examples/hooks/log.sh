#!/bin/sh
# Appends each event to a file, one line of JSON each, for whatever reads logs.
#
#   - { name: log, script: /etc/sallyport/hooks/log.sh, events: [connect, disconnect] }
set -eu

log_file=/var/log/sallyport-connections.jsonl

# Settings beside the script, so that the script itself can be replaced by a newer one.
settings=${0%.sh}.conf
if [ -r "$settings" ]; then . "$settings"; fi

# Standard input is the whole event as one line; what it holds need not be quoted again.
read -r event
printf '{"at":"%s","event":%s}\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$event" >>"$log_file"
