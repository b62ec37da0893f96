"""``python -m gepc_geo``: the command line."""

from gepc_geo.cli import main

main(prog_name="gepc-geo")
