"""What a search and its trials share: the storage, the pruner, and the hand-over of a trial."""
