"""Abnormal human behaviour from poses: Graph Embedded Pose Clustering on PyTorch Geometric."""
