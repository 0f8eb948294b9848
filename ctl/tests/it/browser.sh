#!/bin/sh
# A browser that makes noise and leaves the URL it is given in the file `opened` of its directory.
echo noise
echo noise >&2
echo "$1" > opened.part && /bin/mv opened.part opened
