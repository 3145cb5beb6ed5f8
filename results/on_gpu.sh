#!/usr/bin/env bash
# AT, TRADES, CLAF and our recipe with ResNet-18 at full width on all of CIFAR-10: trained for the same arithmetic, measured
# and audited in one go. About ten minutes on one GPU of a data centre; run again after a cut, it goes on.
#
#     results/on_gpu.sh DATA RUNS      (DATA as for --data: cifar10, folder:PATH; RUNS: a folder for the runs)
set -euo pipefail
test $# -eq 2 || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
CLAF_RUNS_DIR=$2 claf-tui reproduce robust --scale gpu --compute equal --data "$1" --ui plain
python -m results.collect "$2"
python -m results.page
