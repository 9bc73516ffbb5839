#!/bin/sh
# Speaks the lines of prompts.txt into WAV files of telephone sound: mono,
# 8,000 samples a second, G.711 mu-law. Needs espeak-ng and sox.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

grep -v '^#' prompts.txt | while read -r name voice words; do
	espeak-ng -v "$voice" -s 165 -w "$work/raw.wav" "$words"
	sox "$work/raw.wav" -r 8000 -c 1 -e mu-law "$name.wav" \
		highpass 200 norm -6 silence 1 0.02 0.2% reverse silence 1 0.02 0.2% reverse pad 0 0.1
done

# The tone before a message.
sox -n -r 8000 -c 1 -e mu-law tone.wav synth 0.25 sine 1000 fade 0.01 0.25 0.01 norm -12
