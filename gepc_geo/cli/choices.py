"""Choices of flags, written out so that help does not import the modules that define them.

Tests compare each of them with the module that it names.
"""

from __future__ import annotations

#: File formats to read (:data:`gepc_geo.io.FORMATS`) and to write (:data:`gepc_geo.io.WRITABLE`).
FORMATS = (
    *("native", "alphapose-tracks", "alphapose-frames", "alphapose-forvis", "coco-results"),
    *("alphapose-results", "openpose", "ultralytics-labels", "mmpose", "mmpose-images"),
    *("ultralytics-json", "ultralytics-frames", "mediapipe", "kinetics-skeleton", "ntu", "pyskl"),
    *("deeplabcut", "deeplabcut-h5", "csv", "openpifpaf", "openpifpaf-video", "nw-ucla"),
    *("penn-action", "shanghaitech-boxes"),
)
WRITABLE = (
    *("native", "alphapose-tracks", "coco-results", "openpose", "ultralytics-labels", "mmpose"),
    *("mediapipe", "kinetics-skeleton", "ntu", "pyskl", "deeplabcut", "csv"),
)
#: Kinds of rows of a score table (:data:`gepc_geo.evaluation.score_options.LEVELS`).
LEVELS = ("joint", "window", "person", "frame", "clip", "event")
#: Aggregations of window scores to frames (:data:`gepc_geo.scoring.aggregation.PROTOCOLS`).
PROTOCOLS = ("corrected", "reference")
#: Kinds of exported graphs (:data:`gepc_geo.export.FORMATS`).
GRAPHS = ("onnx", "torch")
#: Benchmarks (:data:`gepc_geo.bench.suites.SUITES`).
SUITES = ("layer", "model", "kernels", "fit", "loader", "readers", "mixture", "score")
#: Sides of a split (:data:`gepc_geo.experiments.DIRECTIONS`).
DIRECTIONS = ("few-vs-many", "many-vs-few")
#: Data sets with packaged splits (:data:`gepc_geo.experiments.PACKAGED`).
PACKAGED = ("penn_action", "nw_ucla", "kinetics", "kinetics_names", "ntu")
#: Percentages of abnormal training clips (:data:`gepc_geo.experiments.noise.SHARES`).
SHARES = (0, 1, 2, 5, 10, 20)
_LEARNED = ("reconstruction", "latent_svm")
_OF_CLASSES = ("softmax", "softmax_dirichlet")
_PLANAR = "trajectory (poses in 2D)"
_EVERYWHERE = (
    *("combined", "gepc", "paper", "nearest_neighbour", "gaussian_mixture", "isolation_forest"),
    "one_class_svm",
)
#: Rows of each experiment's table (:func:`gepc_geo.experiments.methods_for`).
METHODS = {
    "coarse": (*_EVERYWHERE, *_LEARNED, *_OF_CLASSES, _PLANAR),
    "fine": (*_EVERYWHERE, "motion_mixture", *_LEARNED, _PLANAR),
    "streams": (*_EVERYWHERE, "motion_mixture", *_LEARNED, *_OF_CLASSES, _PLANAR),
    "noise": (*_EVERYWHERE, *_LEARNED, _PLANAR),
}
