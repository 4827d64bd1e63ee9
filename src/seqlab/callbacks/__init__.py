"""What is logged and drawn while training."""
