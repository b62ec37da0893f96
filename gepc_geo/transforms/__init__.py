r"""PyG transforms of pose windows.

Each is a PyG :class:`~torch_geometric.transforms.BaseTransform` and works alike on one window
(``x`` :math:`[V, T, C]`) and on a whole batch (``x`` :math:`[B V, T, C]`), on the tensors' device.
Channels are laid out as coordinates (``dims``), confidence (1), features, and then what
:class:`AddMotion` appends; only the coordinates are ever transformed.
"""

from gepc_geo.transforms.augment import AUGMENTATIONS, Augment
from gepc_geo.transforms.body_size import SIZES
from gepc_geo.transforms.motion import AddMotion
from gepc_geo.transforms.normalize import AlignRoot, Center, ScaleByBody, ScaleByImage, normalize

__all__ = [
    "AUGMENTATIONS",
    "SIZES",
    "AddMotion",
    "AlignRoot",
    "Augment",
    "Center",
    "ScaleByBody",
    "ScaleByImage",
    "normalize",
]
