"""Network against an ordinary implementation: ``gepc-geo bench --suite model``.

python benchmarks/baseline.py --quick
"""

import sys

from gepc_geo.cli.commands.bench import bench

if __name__ == "__main__":
    bench(["--suite", "model", *sys.argv[1:]])
