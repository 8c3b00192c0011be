"""What answers: a folder of artifacts, checked and loaded into a classifier."""
