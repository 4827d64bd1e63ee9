"""Files that Python runs: an installed package starts further processes of a run with them."""
