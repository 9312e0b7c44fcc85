#!/bin/sh
# A handler in shell: slackwater dev --exec examples/bot.sh
# Answers with what was said and what `uptime` says. BOT_COMMAND names another command; what people write never does.
set -eu

exec 3<&0
read -r turn

# The input ends when the gateway needs us no more, or is dead: then everything that we started ends, too.
{ cat <&3 > /dev/null; kill 0; } &

# What is inside the quotes of "text" is JSON already, and goes back as it came.
text=$(printf '%s' "${turn#*\"text\":\"}" | sed -E 's/^((\\.|[^"\\])*)".*/\1/')

printf '{"type":"reply","text":"You said: %s"}\n' "$text"
printf '{"type":"status","text":"is looking …"}\n'

answer=$(sh -c "${BOT_COMMAND:-uptime}" | tr -d '\\"' | tr '\n\t' '  ')
printf '{"type":"done","reply":"%s"}\n' "$answer"
