#!/bin/sh
# An editor that changes one word.
sed -i 's/colour: .*/colour: green/' "$1"
