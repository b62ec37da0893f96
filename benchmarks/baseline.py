"""The network beside the same network as it is usually written: ``gepc-geo bench --suite model``.

python benchmarks/baseline.py --quick
"""

import sys

from gepc_geo.cli.commands.bench import bench

if __name__ == "__main__":
    bench(["--suite", "model", *sys.argv[1:]])
