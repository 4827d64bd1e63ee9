"""Many runs of one command: which there are, which are left to do, and doing them."""
