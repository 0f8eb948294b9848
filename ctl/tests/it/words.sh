#!/bin/sh
# A program that prints its words, one a line, and whether it was given a key.
for word; do echo "$word"; done
if [ "$PROXYD_KEY" ]; then echo "a key"; fi
