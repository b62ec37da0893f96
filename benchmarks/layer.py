"""Layer against an ordinary implementation and PyG's layers: ``gepc-geo bench --suite layer``.

python benchmarks/layer.py --quick
"""

import sys

from gepc_geo.cli.commands.bench import bench

if __name__ == "__main__":
    bench(["--suite", "layer", *sys.argv[1:]])
