r"""PyG transforms of pose windows.

Each is a PyG :class:`~torch_geometric.transforms.BaseTransform`. It takes a window (``x``
:math:`[V, T, C]`) or a batch (``x`` :math:`[B V, T, C]`) and works on the tensors' device. Channels
are coordinates (``dims``), confidence (1), features, and the channels of :class:`AddMotion`; the
transforms change coordinates only.
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
