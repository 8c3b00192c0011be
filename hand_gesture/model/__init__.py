"""The model: importing, verifying and loading files, features, the classifier, and batching."""
