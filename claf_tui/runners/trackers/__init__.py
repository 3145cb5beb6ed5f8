"""Trackers of other people: what a run tells is passed on to TensorBoard, Weights & Biases or MLflow."""
