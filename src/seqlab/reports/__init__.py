"""Many runs: tables, statistics, plots."""
